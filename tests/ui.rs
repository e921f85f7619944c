//! What the macros accept, and in which words the rest is refused.
//!
//! Many of the words are rustc's and change with it: `TRYBUILD=overwrite cargo test --test ui` writes them anew, to be read
//! before they are kept.

#[test]
fn macros_accept_what_fits_and_refuse_the_rest_where_it_stands() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
