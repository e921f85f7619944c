#![allow(unused)]

use signalr::hub;

#[hub]
struct Chat;

#[hub]
trait Named {}

fn main() {}
