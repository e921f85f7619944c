//! Code that the macros accept, and the errors of code that they reject.
//!
//! Many of these messages are rustc's and change with it. `TRYBUILD=overwrite cargo test --test ui`
//! writes them anew; read the difference before you keep it.

#[test]
fn macros_accept_valid_code_and_report_errors_at_their_spans() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
