//! Authorization rules and policies.

use futures_util::FutureExt;

use super::*;
use crate::auth::{AuthorizationRules, Authorize, Decision, EndpointRules, Policies, Policy, PolicyError, Schemes};

fn doctor() -> User {
    User::builder().id("dr-1").name("Dr One").role("Doctor").claim("Department", "icu").build()
}

fn policies() -> Policies {
    let mut policies = Policies::default();
    policies.add("DoctorsOnly", Policy::require_role("Doctor"));
    policies.add("ClinicalStaff", Policy::require_any_role(["Doctor", "Nurse"]));
    policies.add("SameDepartment", Policy::require_claim("department", ["icu", "er"]));
    policies.add("Anyone", Policy::require_assertion(|_| true).allow_anonymous());
    policies
}

fn endpoint_rules(policies: &Policies, rules: &[Authorize]) -> EndpointRules {
    policies.endpoint_rules(rules, false, &Schemes::default()).unwrap()
}

/// Decides without asynchronous requirements.
fn decide(rules: &EndpointRules, user: &User) -> Decision {
    rules.decide(user).now_or_never().unwrap()
}

#[test]
fn requirements_match_the_users_they_describe() {
    for (policy, allowed) in [
        (Policy::require_authenticated_user(), true),
        (Policy::require_role("Doctor"), true),
        (Policy::require_role("doctor"), false),
        (Policy::require_any_role(["Nurse", "Doctor"]), true),
        (Policy::require_any_role(["Nurse", "Admin"]), false),
        (Policy::require_claim_type("department"), true),
        (Policy::require_claim_type("DEPARTMENT"), true),
        (Policy::require_claim_type("ward"), false),
        (Policy::require_claim("department", ["er", "icu"]), true),
        (Policy::require_claim("department", ["ICU"]), false),
        (Policy::require_claim("ward", ["icu"]), false),
        (Policy::require_user_name("Dr One"), true),
        (Policy::require_user_name("dr one"), false),
        (Policy::require_assertion(|user| user.id() == Some("dr-1")), true),
        (Policy::require_assertion(|_| false), false),
        (Policy::any_of([Policy::require_role("Admin"), Policy::require_claim_type("department")]), true),
        (Policy::any_of([Policy::require_role("Admin"), Policy::require_claim_type("ward")]), false),
        (Policy::require_role("Doctor").and(Policy::require_claim_type("department")), true),
        (Policy::require_role("Doctor").and(Policy::require_claim_type("ward")), false),
        (Policy::require_role("Admin").and(Policy::require_claim_type("department")), false),
    ] {
        assert_eq!(policy.allows(&doctor()), allowed, "{policy:?}");
        assert!(!policy.allows(&User::anonymous()), "{policy:?}");
    }
}

#[test]
fn anonymous_users_pass_only_policies_that_allow_them() {
    let anyone = || Policy::require_assertion(|_| true).allow_anonymous();
    let authenticated = || Policy::require_assertion(|_| true);
    for (policy, allowed) in [
        (authenticated(), false),
        (anyone(), true),
        (anyone().and(authenticated()), false),
        (authenticated().and(anyone()), false),
        (anyone().and(anyone()), true),
        (authenticated().and(anyone()).allow_anonymous(), true),
        (Policy::any_of([authenticated(), anyone()]), true),
        (Policy::any_of([authenticated(), authenticated()]), false),
        (Policy::any_of([anyone()]).and(authenticated()), false),
        (Policy::require_role("Doctor").allow_anonymous(), false),
    ] {
        assert_eq!(policy.allows(&User::anonymous()), allowed, "{policy:?}");
    }
}

#[test]
fn all_rules_must_be_met_and_roles_of_one_rule_are_alternatives() {
    let both = User::builder().role("Admin").role("Doctor").build();
    let anonymous = User::anonymous();
    let policies = policies();
    for (rules, doctor_allowed, both_allowed, anonymous_allowed) in [
        (&[][..], true, true, true),
        (&[Authorize::user()], true, true, false),
        (&[Authorize::policy("DoctorsOnly")], true, true, false),
        (&[Authorize::policy("doctorsonly")], true, true, false),
        (&[Authorize::policy("SameDepartment")], true, false, false),
        (&[Authorize::roles("Admin,Doctor")], true, true, false),
        (&[Authorize::roles(" , Admin ,, Doctor ")], true, true, false),
        (&[Authorize::roles("Admin"), Authorize::roles("Doctor")], false, true, false),
        (&[Authorize::new(Some("DoctorsOnly"), Some("Admin"))], false, true, false),
        (&[Authorize::new(None, None)], true, true, false),
        (&[Authorize::policy("Anyone")], true, true, true),
        (&[Authorize::policy("Anyone"), Authorize::user()], true, true, false),
    ] {
        let resolved = policies.method_rules(rules).unwrap();
        let check = |user| resolved.check_call(user, None).unwrap();
        let allowed = (check(&doctor()), check(&both), check(&anonymous));
        assert_eq!(allowed, (doctor_allowed, both_allowed, anonymous_allowed), "{rules:?}");
        assert_eq!(resolved.is_open(), rules.is_empty());
    }
}

#[test]
fn anonymous_users_are_challenged_and_others_forbidden() {
    let rules = endpoint_rules(&policies(), &[Authorize::roles("Admin")]);
    assert_eq!(decide(&rules, &User::anonymous()), Decision::Challenge);
    assert_eq!(decide(&rules, &doctor()), Decision::Forbid);
    assert_eq!(decide(&rules, &User::builder().role("Admin").build()), Decision::Allow);
    assert_eq!(decide(&EndpointRules::default(), &User::anonymous()), Decision::Allow);
}

#[test]
fn default_policy_applies_to_unnamed_rules_and_fallback_policy_to_endpoints_without_rules() {
    let mut policies = policies();
    policies.set_default(Policy::require_role("Admin"));
    policies.set_fallback(Policy::require_authenticated_user());
    let rules = |rules: &[Authorize]| endpoint_rules(&policies, rules);
    assert_eq!(decide(&rules(&[Authorize::user()]), &doctor()), Decision::Forbid);
    assert_eq!(decide(&rules(&[Authorize::policy("DoctorsOnly")]), &doctor()), Decision::Allow);
    assert_eq!(decide(&rules(&[]), &User::anonymous()), Decision::Challenge);
    assert_eq!(decide(&rules(&[]), &doctor()), Decision::Allow);
    assert!(policies.method_rules(&[]).unwrap().is_open());
}

#[test]
fn invalid_rules_and_policies_are_errors() {
    let resolve = |rule: Authorize| policies().method_rules(&[Authorize::user(), rule]).unwrap_err();
    assert_eq!(resolve(Authorize::policy("Nobody")), PolicyError::Unknown { name: "Nobody".into() });
    assert_eq!(resolve("".into()), PolicyError::Unknown { name: String::new() });
    assert_eq!(resolve(String::from("No").into()), PolicyError::Unknown { name: "No".into() });
    for roles in ["", " ", ",", " , "] {
        assert_eq!(resolve(Authorize::roles(roles)), PolicyError::NoRoles { roles: roles.into() });
    }

    assert_eq!(policies().validate(&Schemes::default()), Ok(()));
    let with = |name: &str, policy: Policy| {
        let mut policies = policies();
        policies.add(name, policy);
        policies.validate(&Schemes::default())
    };
    let duplicate = Err(PolicyError::Duplicate { name: "doctorsONLY".into() });
    assert_eq!(with("doctorsONLY", Policy::require_role("x")), duplicate);
    let impossible = Err(PolicyError::Impossible { name: "x".into() });
    let none: [String; 0] = [];
    assert_eq!(with("x", Policy::require_any_role(none.clone())), impossible);
    assert_eq!(with("x", Policy::require_claim("c", none)), impossible);
    assert_eq!(with("x", Policy::any_of([])), impossible);
    assert_eq!(with("x", Policy::require_role("a").and(Policy::any_of([Policy::any_of([])]))), impossible);
    let mut fallback = policies();
    fallback.set_fallback(Policy::any_of([]));
    assert_eq!(fallback.validate(&Schemes::default()), Err(PolicyError::Impossible { name: "fallback".into() }));
}

#[test]
fn impossible_policies_deny_all_users() {
    let none: [String; 0] = [];
    for policy in
        [Policy::require_any_role(none.clone()), Policy::require_claim("Department", none), Policy::any_of([])]
    {
        assert!(!policy.allows(&doctor()) && !policy.allows(&User::anonymous()), "{policy:?}");
    }
}

#[test]
fn claim_types_of_policies_ignore_case_beyond_ascii() {
    let user = User::builder().claim("straße-ÄÖ", "x").build();
    assert!(Policy::require_claim_type("STRAßE-äö").allows(&user));
    assert!(!Policy::require_claim_type("STRASSE-äö").allows(&user));
    assert!(!Policy::require_claim_type("straße-Ä").allows(&user));
}

#[test]
fn rules_can_be_constants_and_policies_can_be_shared() {
    const RULES: &[Authorize] = &[Authorize::user(), Authorize::new(Some("P"), Some("A, B"))];
    assert_eq!(RULES[0], Authorize::user());
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Policy>();
    shared::<User>();
    shared::<JwtBearer>();
    shared::<AuthorizationRules>();
}
