//! .NET's types of claims (C#: `ClaimTypes`).
//!
//! The short names of a token are mapped to these, as in ASP.NET Core. Names that IdentityModel's table
//! does not contain, such as `name`, `scope` and those of the application, are not mapped.

/// Id of the user, unique for the issuer: `sub` and `nameid` of a token. C#: `ClaimTypes.NameIdentifier`.
pub const NAME_IDENTIFIER: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
/// Name of the user: `unique_name` of a token, not `name`. C#: `ClaimTypes.Name`.
pub const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
/// A role: `role` and `roles` of a token. C#: `ClaimTypes.Role`.
pub const ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";
/// An e-mail address: `email` of a token. C#: `ClaimTypes.Email`.
pub const EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
/// A given name: `given_name` of a token. C#: `ClaimTypes.GivenName`.
pub const GIVEN_NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname";
/// A family name: `family_name` of a token. C#: `ClaimTypes.Surname`.
pub const SURNAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname";
/// A date of birth: `birthdate` of a token. C#: `ClaimTypes.DateOfBirth`.
pub const DATE_OF_BIRTH: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/dateofbirth";
/// A gender: `gender` of a token. C#: `ClaimTypes.Gender`.
pub const GENDER: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/gender";
/// A web page: `website` of a token. C#: `ClaimTypes.Webpage`.
pub const WEBPAGE: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/webpage";
/// A user principal name: `upn` of a token. C#: `ClaimTypes.Upn`.
pub const UPN: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
/// The user's object in Entra ID: `oid` of a token.
pub const OBJECT_IDENTIFIER: &str = "http://schemas.microsoft.com/identity/claims/objectidentifier";
/// The user's tenant in Entra ID: `tid` of a token.
pub const TENANT_ID: &str = "http://schemas.microsoft.com/identity/claims/tenantid";
/// Scopes that the user granted to the client in Entra ID: `scp` of a token, not `scope`.
pub const SCOPE: &str = "http://schemas.microsoft.com/identity/claims/scope";
/// Identity provider that authenticated the user: `idp` of a token.
pub const IDENTITY_PROVIDER: &str = "http://schemas.microsoft.com/identity/claims/identityprovider";

/// Type of a claim by its short name in a token (IdentityModel: ClaimTypeMapping.cs; each entry was
/// observed on the wire).
pub(super) fn long_name(short: &str) -> Option<&'static str> {
    Some(match short {
        "actort" => "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor",
        "birthdate" => DATE_OF_BIRTH,
        "email" => EMAIL,
        "family_name" => SURNAME,
        "gender" => GENDER,
        "given_name" => GIVEN_NAME,
        "nameid" | "sub" => NAME_IDENTIFIER,
        "website" => WEBPAGE,
        "unique_name" => NAME,
        "oid" => OBJECT_IDENTIFIER,
        "scp" => SCOPE,
        "tid" => TENANT_ID,
        "acr" => "http://schemas.microsoft.com/claims/authnclassreference",
        "adfs1email" => "http://schemas.xmlsoap.org/claims/EmailAddress",
        "adfs1upn" => "http://schemas.xmlsoap.org/claims/UPN",
        "amr" => "http://schemas.microsoft.com/claims/authnmethodsreferences",
        "authmethod" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationmethod",
        "certapppolicy" => "http://schemas.microsoft.com/2012/12/certificatecontext/extension/applicationpolicy",
        "certauthoritykeyidentifier" => {
            "http://schemas.microsoft.com/2012/12/certificatecontext/extension/authoritykeyidentifier"
        }
        "certbasicconstraints" => "http://schemas.microsoft.com/2012/12/certificatecontext/extension/basicconstraints",
        "certeku" => "http://schemas.microsoft.com/2012/12/certificatecontext/extension/eku",
        "certissuer" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/issuer",
        "certissuername" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/issuername",
        "certkeyusage" => "http://schemas.microsoft.com/2012/12/certificatecontext/extension/keyusage",
        "certnotafter" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/notafter",
        "certnotbefore" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/notbefore",
        "certpolicy" => "http://schemas.microsoft.com/2012/12/certificatecontext/extension/certificatepolicy",
        "certpublickey" => "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/rsa",
        "certrawdata" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/rawdata",
        "certserialnumber" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/serialnumber",
        "certsignaturealgorithm" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/signaturealgorithm",
        "certsubject" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/subject",
        "certsubjectaltname" => "http://schemas.microsoft.com/2012/12/certificatecontext/extension/san",
        "certsubjectkeyidentifier" => {
            "http://schemas.microsoft.com/2012/12/certificatecontext/extension/subjectkeyidentifier"
        }
        "certsubjectname" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/subjectname",
        "certtemplateinformation" => {
            "http://schemas.microsoft.com/2012/12/certificatecontext/extension/certificatetemplateinformation"
        }
        "certtemplatename" => {
            "http://schemas.microsoft.com/2012/12/certificatecontext/extension/certificatetemplatename"
        }
        "certthumbprint" => "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/thumbprint",
        "certx509version" => "http://schemas.microsoft.com/2012/12/certificatecontext/field/x509version",
        "clientapplication" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/x-ms-client-application",
        "clientip" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/x-ms-client-ip",
        "clientuseragent" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/x-ms-client-user-agent",
        "commonname" => "http://schemas.xmlsoap.org/claims/CommonName",
        "denyonlyprimarygroupsid" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/denyonlyprimarygroupsid",
        "denyonlyprimarysid" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/denyonlyprimarysid",
        "denyonlysid" => "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/denyonlysid",
        "devicedispname" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/displayname",
        "deviceid" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/identifier",
        "deviceismanaged" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/ismanaged",
        "deviceostype" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/ostype",
        "deviceosver" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/osversion",
        "deviceowner" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/userowner",
        "deviceregid" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/registrationid",
        "endpointpath" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/x-ms-endpoint-absolute-path",
        "forwardedclientip" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/x-ms-forwarded-client-ip",
        "group" => "http://schemas.xmlsoap.org/claims/Group",
        "groupsid" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/groupsid",
        "idp" => IDENTITY_PROVIDER,
        "insidecorporatenetwork" => "http://schemas.microsoft.com/ws/2012/01/insidecorporatenetwork",
        "isregistereduser" => "http://schemas.microsoft.com/2012/01/devicecontext/claims/isregistereduser",
        "ppid" => "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/privatepersonalidentifier",
        "primarygroupsid" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarygroupsid",
        "primarysid" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid",
        "proxy" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/x-ms-proxy",
        "pwdchgurl" => "http://schemas.microsoft.com/ws/2012/01/passwordchangeurl",
        "pwdexpdays" => "http://schemas.microsoft.com/ws/2012/01/passwordexpirationdays",
        "pwdexptime" => "http://schemas.microsoft.com/ws/2012/01/passwordexpirationtime",
        "relyingpartytrustid" => "http://schemas.microsoft.com/2012/01/requestcontext/claims/relyingpartytrustid",
        "role" | "roles" => ROLE,
        "upn" => UPN,
        "winaccountname" => "http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname",
        _ => return None,
    })
}
