//! Cost of one message: reading with binding, and writing, of the invocations in
//! `HubProtocolBenchmark` of dotnet/aspnetcore.
//!
//! `cargo bench --bench protocol`; `-- ReadSingleMessage` runs one group, `-- --quick` takes less
//! time and is less precise.

use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use signalr::dotnet::Binary;
use signalr::protocol::{Arguments, Framer, HubMessage, HubProtocol, HubProtocolKind, Naming};

/// Maximum message size in bytes, above that of all messages here.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

const TARGET: &str = "Target";

type Few = (i32, String, f32);
type Many = (i32, String, f32, bool, u8, Binary, char, i64);
type Large = (String, Binary);

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    read_single_message(&mut criterion);
    write_single_message(&mut criterion);
    criterion.final_summary();
}

fn few() -> Few {
    (1, "Foo".to_owned(), 2.0)
}

fn many() -> Many {
    (1, "string".to_owned(), 2.0, true, 9, Binary::from(vec![5, 4, 3, 2, 1]), 'c', 123_456_789_101_112)
}

fn large() -> Large {
    ("F".repeat(10_240), Binary::from(vec![0; 10_240]))
}

/// Reads the bytes of one message and binds typed arguments.
fn read_single_message(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ReadSingleMessage");
    for format in formats() {
        read::<[i32; 0]>(&mut group, "NoArguments", format, &());
        read::<Few>(&mut group, "FewArguments", format, &few());
        read::<Many>(&mut group, "ManyArguments", format, &many());
        read::<Large>(&mut group, "LargeArguments", format, &large());
    }
    group.finish();
}

/// Writes typed arguments as one message into a reused buffer.
fn write_single_message(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("WriteSingleMessage");
    for format in formats() {
        write(&mut group, "NoArguments", format, &());
        write(&mut group, "FewArguments", format, &few());
        write(&mut group, "ManyArguments", format, &many());
        write(&mut group, "LargeArguments", format, &large());
    }
    group.finish();
}

fn read<T: DeserializeOwned>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    format: HubProtocolKind,
    arguments: &impl Arguments,
) {
    let protocol = HubProtocol::new(format, Naming::Serde);
    let mut message = Vec::new();
    invocation(protocol, &mut message, arguments);
    let mut framer = Framer::new(format, Some(MAX_MESSAGE_BYTES));
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function(BenchmarkId::new(name, format.name()), |bencher| {
        bencher.iter(|| -> T {
            let mut input = black_box(&message[..]);
            let frame =
                framer.next(&mut input).expect("the message is below the limit").expect("the message is complete");
            match protocol.parse(frame, |_| true).expect("the message is valid") {
                Some(HubMessage::Invocation(call)) => call
                    .arguments
                    .bind(call.arguments.len(), List(PhantomData))
                    .expect("the arguments have these types"),
                other => panic!("{other:?} is not an invocation"),
            }
        });
    });
}

fn write(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, format: HubProtocolKind, arguments: &impl Arguments) {
    let protocol = HubProtocol::new(format, Naming::Serde);
    let mut message = Vec::new();
    invocation(protocol, &mut message, arguments);
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function(BenchmarkId::new(name, format.name()), |bencher| {
        bencher.iter(|| {
            message.clear();
            invocation(protocol, &mut message, black_box(arguments));
            message.len()
        });
    });
}

fn invocation(protocol: HubProtocol, message: &mut Vec<u8>, arguments: &impl Arguments) {
    protocol.write_invocation(message, None, TARGET, arguments).expect("the arguments can be encoded");
}

fn formats() -> impl Iterator<Item = HubProtocolKind> {
    HubProtocolKind::ALL.iter().copied()
}

/// A tuple or an array of arguments.
struct List<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(list))
    }
}
