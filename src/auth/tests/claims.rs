//! Claims of users from tokens. All were recorded from ASP.NET Core 10.

use super::*;
use crate::auth::claim_types;

fn user_of(claims: &str) -> User {
    user(&bearer(), &token(&payload(claims)))
}

#[track_caller]
fn assert_claims(user: &User, claim_type: &str, expected: &[&str]) {
    assert_eq!(user.claims(claim_type).collect::<Vec<_>>(), expected, "{claim_type}");
    assert_eq!(user.claim(claim_type), expected.first().copied(), "{claim_type}");
}

#[test]
fn mapped_claims_have_only_their_long_names() {
    let user = user_of(
        r#""sub":"u","role":["A","B"],"department":"icu","email":"u@x.test","given_name":"U","unique_name":"uniq","name":"plain""#,
    );
    for (claim_type, expected) in [
        ("sub", &[][..]),
        (claim_types::NAME_IDENTIFIER, &["u"]),
        ("role", &[]),
        (claim_types::ROLE, &["A", "B"]),
        ("department", &["icu"]),
        ("email", &[]),
        (claim_types::EMAIL, &["u@x.test"]),
        (claim_types::GIVEN_NAME, &["U"]),
        ("unique_name", &[]),
        ("name", &["plain"]),
        ("aud", &["signalr-tests"]),
        ("iss", &["https://issuer.test"]),
        ("exp", &["1800003600"]),
    ] {
        assert_claims(&user, claim_type, expected);
    }
    assert_eq!((user.id(), user.name()), (Some("u"), Some("uniq")));
}

#[test]
fn short_claim_names_map_to_long_names() {
    let shorts = [
        ("family_name", claim_types::SURNAME),
        ("birthdate", claim_types::DATE_OF_BIRTH),
        ("gender", claim_types::GENDER),
        ("website", claim_types::WEBPAGE),
        ("upn", claim_types::UPN),
        ("oid", claim_types::OBJECT_IDENTIFIER),
        ("scp", claim_types::SCOPE),
        ("tid", claim_types::TENANT_ID),
        ("acr", "http://schemas.microsoft.com/claims/authnclassreference"),
        ("amr", "http://schemas.microsoft.com/claims/authnmethodsreferences"),
        ("idp", claim_types::IDENTITY_PROVIDER),
        ("group", "http://schemas.xmlsoap.org/claims/Group"),
        ("commonname", "http://schemas.xmlsoap.org/claims/CommonName"),
        ("actort", "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor"),
        ("winaccountname", "http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname"),
    ];
    for (short, long) in shorts {
        let user = user_of(&format!(r#"{short:?}:"v""#));
        assert_claims(&user, long, &["v"]);
        assert_claims(&user, short, &[]);
    }
    for own in ["name", "preferred_username", "scope", "jti", "Role", "SUB", "department"] {
        assert_claims(&user_of(&format!(r#"{own:?}:"v""#)), own, &["v"]);
    }
}

#[test]
fn user_id_is_the_first_of_sub_and_nameid() {
    for (claims, id) in [
        (r#""nameid":"second","sub":"first""#, Some("second")),
        (r#""sub":"u1","nameid":"u2""#, Some("u1")),
        (r#""sub":42"#, Some("42")),
        (r#""sub":1.50"#, Some("1.5")),
        (r#""sub":"""#, Some("")),
        (r#""sub":null"#, Some("")),
        (r#""http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier":"long""#, Some("long")),
        (r#""name":"x""#, None),
    ] {
        assert_eq!(user_of(claims).id(), id, "{claims}");
    }
}

#[test]
fn last_of_duplicate_claims_replaces_the_first_in_its_position() {
    let user = user_of(r#""a":1,"b":2,"a":[3,4],"sub":"x","nameid":"y","sub":"z""#);
    assert_claims(&user, "a", &["3", "4"]);
    assert_claims(&user, claim_types::NAME_IDENTIFIER, &["z", "y"]);
    let types: Vec<_> = user.all_claims().map(|claim| claim.claim_type()).collect();
    assert_eq!(types, ["iss", "aud", "exp", "a", "a", "b", claim_types::NAME_IDENTIFIER, claim_types::NAME_IDENTIFIER]);
}

#[test]
fn claim_values_become_strings() {
    let user = user_of(
        r#""null":null,"true":true,"object":{ "k" : [1, 2.50 ,"\u0041"] },"mixed":[1,null,true,{"x": 1},[1, [2]],"s\u0041"],"none":[],
           "empty":{},"text":"","texts":[""],"inner":[[]],"date":"2000-01-01T00:00:00Z","nbf":"5","iat":6.5"#,
    );
    for (claim_type, expected) in [
        ("null", &[""][..]),
        ("true", &["true"]),
        ("object", &[r#"{ "k" : [1, 2.50 ,"\u0041"] }"#]),
        ("mixed", &["1", "", "true", r#"{"x": 1}"#, "[1, [2]]", "sA"]),
        ("none", &[]),
        ("empty", &["{}"]),
        ("text", &[""]),
        ("texts", &[""]),
        ("inner", &["[]"]),
        ("date", &["2000-01-01T00:00:00Z"]),
        ("nbf", &["5"]),
        ("iat", &["6"]),
    ] {
        assert_claims(&user, claim_type, expected);
    }
    let several = user_with_audiences(r#"["x",null,"signalr-tests"]"#);
    assert_claims(&several, "aud", &["x", "signalr-tests"]);
}

fn user_with_audiences(audiences: &str) -> User {
    user(&bearer(), &token(&payload_with(&[("aud", audiences)])))
}

#[test]
fn numbers_are_formatted_as_in_dotnet() {
    for (json, text) in [
        ("7", "7"),
        ("-0", "0"),
        ("-0.0", "-0"),
        ("1.50", "1.5"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("1E+2", "100"),
        ("0.1e1", "1"),
        ("0.0001", "0.0001"),
        ("0.00012", "0.00012"),
        ("0.00001", "1E-05"),
        ("1.23e-7", "1.23E-07"),
        ("1e15", "1000000000000000"),
        ("1.5e15", "1500000000000000"),
        ("1e16", "10000000000000000"),
        ("-1e16", "-10000000000000000"),
        ("1e17", "1E+17"),
        ("100000000000000000.0", "1E+17"),
        ("1.25e20", "1.25E+20"),
        ("1234567890123456.5", "1234567890123456.5"),
        ("12345678901234567.5", "12345678901234568"),
        ("123456789012345678.0", "1.2345678901234568E+17"),
        ("9007199254740993", "9007199254740993"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "9.223372036854776E+18"),
        ("12345678901234567890", "1.2345678901234567E+19"),
        ("123456789012345678901234567890", "1.2345678901234568E+29"),
        ("0.1234567890123456789", "0.12345678901234568"),
        ("1234567890.123456789", "1234567890.1234567"),
        ("5e-324", "5E-324"),
        ("1e-400", "0"),
        ("1e400", "Infinity"),
        ("-1e400", "-Infinity"),
    ] {
        let user = user_of(&format!(r#""one":{json},"many":[{json}],"sub":{json}"#));
        assert_eq!(user.claim("one"), Some(text), "{json}");
        assert_eq!(user.claim("many"), Some(text), "{json}");
        assert_eq!(user.id(), Some(text), "{json}");
    }
}

#[test]
fn role_claim_names_are_equivalent_and_role_values_case_sensitive() {
    for (claims, doctor, admin) in [
        (r#""role":"doctor""#, false, false),
        (r#""roles":["x","Doctor"]"#, true, false),
        (r#""http://schemas.microsoft.com/ws/2008/06/identity/claims/role":"Doctor""#, true, false),
        (r#""role":"Admin","roles":"Doctor""#, true, true),
        (r#""Role":"Doctor""#, false, false),
        (r#""role":"Admin,Doctor""#, false, false),
        (r#""realm_access":{"roles":["Doctor"]}"#, false, false),
    ] {
        let user = user_of(claims);
        assert_eq!((user.is_in_role("Doctor"), user.is_in_role("Admin")), (doctor, admin), "{claims}");
    }
}

#[test]
fn claim_types_and_values_are_compared_exactly() {
    let user = user_of(r#""Department":"icu""#);
    assert_claims(&user, "department", &[]);
    assert_claims(&user, "Department", &["icu"]);
    assert!(
        user.has_claim("Department", "icu")
            && !user.has_claim("Department", "ICU")
            && !user.has_claim("department", "icu")
    );
}

#[test]
fn claim_mapping_name_and_role_claims_are_options() {
    let claims = r#""sub":"u","role":"A","roles":"B","name":"n""#;
    let plain = user(&bearer().map_inbound_claims(false), &token(&payload(claims)));
    assert_claims(&plain, "sub", &["u"]);
    assert_eq!((plain.id(), plain.name(), plain.roles().count()), (None, None, 0));

    let jwt = bearer().map_inbound_claims(false).name_claim("name").role_claim("roles");
    let named = user(&jwt, &token(&payload(claims)));
    assert_eq!((named.name(), named.roles().collect::<Vec<_>>()), (Some("n"), vec!["B"]));
    assert!(named.is_in_role("B") && !named.is_in_role("A"));
}

#[test]
fn expiration_of_a_user_excludes_clock_skew() {
    assert_eq!(user_of("").expires_at(), Some(UNIX_EPOCH + Duration::from_secs((NOW + 3600).unsigned_abs())));
    let far = user(&bearer(), &token(&payload_with(&[("exp", "9223372036854775807")])));
    assert_eq!(far.expires_at(), Some(UNIX_EPOCH + Duration::from_secs(253_402_300_799)));
    assert_eq!(far.claim("exp"), Some("9223372036854775807"));
}

#[test]
fn anonymous_users_have_no_claims() {
    for user in
        [User::anonymous(), User::default(), Authentication::Anonymous.user(), authenticate(&bearer(), "x").user()]
    {
        assert!(!user.is_authenticated() && user.all_claims().len() == 0);
        assert_eq!((user.id(), user.name(), user.expires_at(), user.roles().count()), (None, None, None, 0));
        assert_eq!(format!("{user:?}"), "User(anonymous)");
    }
}

#[test]
fn users_can_be_built_without_a_token() {
    let user =
        User::builder().id("dr-1").name("Dr One").role("Doctor").claim("department", "icu").expires_at(now()).build();
    assert!(user.is_authenticated() && user.is_in_role("Doctor"));
    assert_eq!((user.id(), user.name(), user.expires_at()), (Some("dr-1"), Some("Dr One"), Some(now())));
    assert_eq!(user.claim("department"), Some("icu"));
    let named = User::builder().name_claim("n").role_claim("r").name("x").role("y").build();
    assert_eq!((named.claim("n"), named.claim("r"), named.name()), (Some("x"), Some("y"), Some("x")));
    assert!(named.is_in_role("y"));
    assert!(User::builder().build().is_authenticated());
    assert_eq!(User::new([("a", "b")]).claim("a"), Some("b"));
}

#[test]
fn debug_output_of_users_contains_no_claims() {
    let user = user_of(r#""sub":"u","secret":"hush""#);
    let builder = User::builder().claim("secret", "hush");
    let printed = format!("{user:?} {:?} {builder:?}", user.all_claims());
    assert!(printed.contains("\"u\"") && !printed.contains("hush"), "{printed}");
}
