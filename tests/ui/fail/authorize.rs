#![allow(unused)]

use signalr::{authorize, hub};

struct Chat;

#[hub]
#[authorize(roles = " ")]
impl Chat {
    #[authorize("Staff")]
    fn a(&self) {}

    #[authorize(role = "Doctor")]
    fn b(&self) {}

    #[authorize(roles = "")]
    fn c(&self) {}

    #[authorize(policy = Staff)]
    fn d(&self) {}

    #[authorize(roles = "A", roles = "B")]
    fn e(&self) {}

    #[allow_anonymous]
    fn f(&self) {}

    #[authorize(roles = "A", schemes = "ApiKey")]
    fn g(&self) {}
}

#[authorize]
#[hub]
#[allow_anonymous]
impl Other {}

struct Other;

#[hub]
#[authorize(schemes = ",")]
impl Third {}

struct Third;

#[hub]
#[allow_anonymous(methods)]
impl Fourth {}

struct Fourth;

fn main() {}
