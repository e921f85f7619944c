//! Simulates vital signs: they drift around the baseline of a patient, and a crisis occurs from
//! time to time.

use std::collections::VecDeque;

use serde::Serialize;
use uuid::Uuid;

use crate::ecg::{Heart, Rhythm};

/// Length of the trend, in seconds.
const HISTORY_SECONDS: usize = 180;

/// Shortest stable phase and shortest crisis, in seconds. The longest are twice as long.
const MIN_STABLE_SECONDS: f64 = 35.0;
const MIN_CRISIS_SECONDS: f64 = 16.0;

/// A sign that exceeds its limit by at most this margin is a warning; beyond that it is critical.
const MARGINS: SignValues =
    SignValues { heart_rate: 20.0, spo2: 4.0, systolic: 15.0, diastolic: 10.0, respiration: 6.0, temperature: 1.0 };

const LIMITS: Limits =
    Limits { heart_rate: (50, 120), spo2: (92, 100), systolic: (90, 160), respiration: (8, 29), temperature: (35, 39) };

/// A value for each vital sign: the baseline of a patient, or a difference from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignValues {
    pub(crate) heart_rate: f64,
    pub(crate) spo2: f64,
    pub(crate) systolic: f64,
    pub(crate) diastolic: f64,
    pub(crate) respiration: f64,
    pub(crate) temperature: f64,
}

/// Lowest and highest value of each sign that causes no alarm.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limits {
    heart_rate: (i32, i32),
    spo2: (i32, i32),
    systolic: (i32, i32),
    respiration: (i32, i32),
    temperature: (i32, i32),
}

/// Vital signs of the patients of a ward.
#[derive(Debug, Serialize)]
pub(crate) struct WardVitals {
    pub(crate) ward: &'static str,
    pub(crate) patients: Vec<Vitals>,
}

/// Vital signs of one patient, with one second of the ECG.
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

/// A point of the trend chart.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trend {
    heart_rate: i32,
    spo2: i32,
}

/// Alarm for a sign beyond its limits.
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

/// Monitor of one patient.
#[derive(Debug)]
pub(crate) struct Monitor {
    baseline: SignValues,
    crisis: Option<SignValues>,
    /// Severity of the crisis, from 0 to 1.
    severity: f64,
    is_worsening: bool,
    /// Seconds until the next phase.
    phase_seconds_left: f64,
    /// Current drift of each sign, relative to its usual drift.
    drift: [f64; 6],
    heart: Heart,
    history: VecDeque<Trend>,
    random: Random,
}

impl Monitor {
    pub(crate) fn new(baseline: SignValues, crisis: Option<SignValues>, rhythm: Rhythm, mut random: Random) -> Self {
        let mut monitor = Self {
            baseline,
            crisis,
            severity: 0.0,
            is_worsening: false,
            phase_seconds_left: random.unit() * MIN_STABLE_SECONDS,
            drift: [0.0; 6],
            heart: Heart::new(rhythm, &mut random),
            history: VecDeque::with_capacity(HISTORY_SECONDS),
            random,
        };
        for _ in 0..HISTORY_SECONDS {
            monitor.measure(Uuid::nil());
        }
        monitor
    }

    pub(crate) fn limits(&self) -> Limits {
        LIMITS
    }

    /// Returns the trend, oldest point first.
    pub(crate) fn history(&self) -> Vec<Trend> {
        self.history.iter().copied().collect()
    }

    /// Advances the simulation by one second and returns the vital signs.
    pub(crate) fn measure(&mut self, patient: Uuid) -> Vitals {
        self.advance();
        let (baseline, severity) = (&self.baseline, self.severity);
        let change = |sign: fn(&SignValues) -> f64| self.crisis.as_ref().map_or(0.0, sign) * severity;
        let [heart_rate, spo2, systolic, diastolic, respiration, temperature] = self.drift;
        let heart_rate = baseline.heart_rate + change(|crisis| crisis.heart_rate) + heart_rate * 2.6;
        let spo2 = (baseline.spo2 + change(|crisis| crisis.spo2) + spo2 * 0.8).min(100.0);
        let systolic = baseline.systolic + change(|crisis| crisis.systolic) + systolic * 3.0;
        let diastolic = baseline.diastolic + change(|crisis| crisis.diastolic) + diastolic * 2.0;
        let respiration = baseline.respiration + change(|crisis| crisis.respiration) + respiration;
        let temperature = baseline.temperature + change(|crisis| crisis.temperature) + temperature * 0.05;

        let ecg = self.heart.next_second(heart_rate, &mut self.random);
        let mut vitals = Vitals {
            patient,
            heart_rate: round(heart_rate),
            spo2: round(spo2),
            systolic: round(systolic),
            diastolic: round(diastolic),
            respiration: round(respiration),
            temperature: (temperature * 10.0).round() / 10.0,
            ecg,
            alarms: Vec::new(),
        };
        vitals.alarms = alarms(&vitals);
        if self.history.len() == HISTORY_SECONDS {
            self.history.pop_front();
        }
        self.history.push_back(Trend { heart_rate: vitals.heart_rate, spo2: vitals.spo2 });
        vitals
    }

    fn advance(&mut self) {
        for drift in &mut self.drift {
            *drift = *drift * 0.85 + self.random.noise() * 0.5;
        }
        self.phase_seconds_left -= 1.0;
        if self.phase_seconds_left <= 0.0 {
            self.is_worsening = !self.is_worsening;
            self.phase_seconds_left =
                if self.is_worsening { MIN_CRISIS_SECONDS } else { MIN_STABLE_SECONDS } * (1.0 + self.random.unit());
        }
        let target = if self.is_worsening { 1.0 } else { 0.0 };
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

/// Random number generator of the simulation (SplitMix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(Self)
    }

    /// Returns a number from 0 (inclusive) to 1 (exclusive).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / (f64::from(u32::MAX) + 1.0)
    }

    /// Returns a number from -2 to 2 around 0, approximately normally distributed.
    pub(crate) fn noise(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit() - 1.5) * 2.0 / 1.5
    }
}

/// Rounds to the nearest integer.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and vital signs are small")]
pub(crate) fn round(value: f64) -> i32 {
    value.round() as i32
}
