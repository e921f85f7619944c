//! What the macros accept, and in which words the rest is refused.
//!
//! Many of the words are rustc's and change with it: `TRYBUILD=overwrite cargo test --test ui` writes them anew, to be read
//! before they are kept.

#[test]
fn macros_accept_valid_code_and_report_errors_at_their_spans() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
