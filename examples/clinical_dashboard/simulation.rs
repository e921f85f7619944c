//! What the monitors measure: vital signs that wander about what is usual for a patient, and get worse now and then.

use std::collections::VecDeque;

use serde::Serialize;
use uuid::Uuid;

use crate::ecg::{Heart, Rhythm};

/// How many seconds are remembered.
const HISTORY: usize = 180;

/// How long, in seconds, a patient is stable and how long a crisis takes, at least; it may be up to twice as long.
const STABLE: f64 = 35.0;
const CRISIS: f64 = 16.0;

/// Beyond its limit by less than this, a sign is a warning; by more, it is critical.
const MARGINS: Usual =
    Usual { heart_rate: 20.0, spo2: 4.0, systolic: 15.0, diastolic: 10.0, respiration: 6.0, temperature: 1.0 };

const LIMITS: Limits =
    Limits { heart_rate: (50, 120), spo2: (92, 100), systolic: (90, 160), respiration: (8, 29), temperature: (35, 39) };

/// What is usual for a patient, or how far something is from that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual {
    pub(crate) heart_rate: f64,
    pub(crate) spo2: f64,
    pub(crate) systolic: f64,
    pub(crate) diastolic: f64,
    pub(crate) respiration: f64,
    pub(crate) temperature: f64,
}

/// The lowest and the highest value that is no alarm.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    heart_rate: (i32, i32),
    spo2: (i32, i32),
    systolic: (i32, i32),
    respiration: (i32, i32),
    temperature: (i32, i32),
}

/// What the monitors of a ward measured.
#[derive(Debug, Serialize)]
pub(crate) struct WardVitals {
    pub(crate) ward: &'static str,
    pub(crate) patients: Vec<Vitals>,
}

/// What the monitor of one patient measured, and a second of the electrocardiogram.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Vitals {
    patient: Uuid,
    heart_rate: i32,
    spo2: i32,
    systolic: i32,
    diastolic: i32,
    respiration: i32,
    temperature: f64,
    ecg: Vec<i32>,
    alarms: Vec<Alarm>,
}

/// A point of the long curves.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trend {
    heart_rate: i32,
    spo2: i32,
}

/// A sign is beyond its limits.
#[derive(Debug, PartialEq, Serialize)]
struct Alarm {
    sign: Sign,
    name: &'static str,
    level: Level,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Sign {
    HeartRate,
    Spo2,
    BloodPressure,
    Respiration,
    Temperature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Level {
    Warning,
    Critical,
}

/// The monitor at one bed.
#[derive(Debug)]
pub(crate) struct Monitor {
    usual: Usual,
    crisis: Option<Usual>,
    /// How far the crisis has come, from 0 to 1, and where it is going.
    severity: f64,
    worse: bool,
    /// Seconds until it turns.
    turns_in: f64,
    /// How far each sign has wandered, as a share of what it usually does.
    wander: [f64; 6],
    heart: Heart,
    history: VecDeque<Trend>,
    random: Random,
}

impl Monitor {
    pub(crate) fn new(usual: Usual, crisis: Option<Usual>, rhythm: Rhythm, mut random: Random) -> Self {
        let mut monitor = Self {
            usual,
            crisis,
            severity: 0.0,
            worse: false,
            turns_in: random.unit() * STABLE,
            wander: [0.0; 6],
            heart: Heart::new(rhythm, &mut random),
            history: VecDeque::with_capacity(HISTORY),
            random,
        };
        for _ in 0..HISTORY {
            monitor.measure(Uuid::nil());
        }
        monitor
    }

    pub(crate) fn limits(&self) -> Limits {
        LIMITS
    }

    /// The last minutes, the oldest first.
    pub(crate) fn history(&self) -> Vec<Trend> {
        self.history.iter().copied().collect()
    }

    /// Goes on by a second.
    pub(crate) fn measure(&mut self, patient: Uuid) -> Vitals {
        self.pass_time();
        let (usual, severity) = (&self.usual, self.severity);
        let change = |sign: fn(&Usual) -> f64| self.crisis.as_ref().map_or(0.0, sign) * severity;
        let [heart_rate, spo2, systolic, diastolic, respiration, temperature] = self.wander;
        let heart_rate = usual.heart_rate + change(|crisis| crisis.heart_rate) + heart_rate * 2.6;
        let spo2 = (usual.spo2 + change(|crisis| crisis.spo2) + spo2 * 0.8).min(100.0);
        let systolic = usual.systolic + change(|crisis| crisis.systolic) + systolic * 3.0;
        let diastolic = usual.diastolic + change(|crisis| crisis.diastolic) + diastolic * 2.0;
        let respiration = usual.respiration + change(|crisis| crisis.respiration) + respiration;
        let temperature = usual.temperature + change(|crisis| crisis.temperature) + temperature * 0.05;

        let ecg = self.heart.second(heart_rate, &mut self.random);
        let mut vitals = Vitals {
            patient,
            heart_rate: whole(heart_rate),
            spo2: whole(spo2),
            systolic: whole(systolic),
            diastolic: whole(diastolic),
            respiration: whole(respiration),
            temperature: (temperature * 10.0).round() / 10.0,
            ecg,
            alarms: Vec::new(),
        };
        vitals.alarms = alarms(&vitals);
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Trend { heart_rate: vitals.heart_rate, spo2: vitals.spo2 });
        vitals
    }

    fn pass_time(&mut self) {
        for wander in &mut self.wander {
            *wander = *wander * 0.85 + self.random.noise() * 0.5;
        }
        self.turns_in -= 1.0;
        if self.turns_in <= 0.0 {
            self.worse = !self.worse;
            self.turns_in = if self.worse { CRISIS } else { STABLE } * (1.0 + self.random.unit());
        }
        let target = if self.worse { 1.0 } else { 0.0 };
        self.severity += (target - self.severity) * 0.22;
    }
}

fn alarms(vitals: &Vitals) -> Vec<Alarm> {
    let Vitals { heart_rate, spo2, systolic, diastolic, respiration, temperature, .. } = *vitals;
    let signs = [
        (
            Sign::HeartRate,
            "Heart rate",
            f64::from(heart_rate),
            LIMITS.heart_rate,
            MARGINS.heart_rate,
            format!("{heart_rate} /min"),
        ),
        (Sign::Spo2, "SpO₂", f64::from(spo2), LIMITS.spo2, MARGINS.spo2, format!("{spo2} %")),
        (
            Sign::BloodPressure,
            "Blood pressure",
            f64::from(systolic),
            LIMITS.systolic,
            MARGINS.systolic,
            format!("{systolic}/{diastolic}"),
        ),
        (
            Sign::Respiration,
            "Breathing",
            f64::from(respiration),
            LIMITS.respiration,
            MARGINS.respiration,
            format!("{respiration} /min"),
        ),
        (
            Sign::Temperature,
            "Temperature",
            temperature,
            LIMITS.temperature,
            MARGINS.temperature,
            format!("{temperature:.1} °C"),
        ),
    ];
    signs
        .into_iter()
        .filter_map(|(sign, name, value, (low, high), margin, shown)| {
            let below = f64::from(low) - value;
            let beyond = below.max(value - f64::from(high));
            let level = if beyond > margin { Level::Critical } else { Level::Warning };
            let direction = if below > 0.0 { "low" } else { "high" };
            (beyond > 0.0).then(|| Alarm { sign, name, level, text: format!("{name} {direction}: {shown}") })
        })
        .collect()
}

/// Random numbers that are good enough for a simulation: SplitMix64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }

    /// From 0 to 1, but not 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }

    /// About 0, seldom beyond 1.5: the sum of three, nearly a bell curve.
    pub(crate) fn noise(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit() - 1.5) * 2.0 / 1.5
    }
}

/// The nearest whole number.
#[expect(clippy::cast_possible_truncation, reason = "such casts saturate, and vital signs are small")]
pub(crate) fn whole(value: f64) -> i32 {
    value.round() as i32
}
