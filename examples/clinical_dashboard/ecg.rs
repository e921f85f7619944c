//! Simulates an electrocardiogram (ECG) as a series of samples.

use crate::simulation::{Random, round};

/// Samples per second.
pub(crate) const SAMPLE_RATE_HZ: u32 = 100;

/// Heart rhythm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Regular, as in a healthy heart.
    Sinus,
    /// Irregular, and without a P wave.
    AtrialFibrillation,
}

/// The heart of a patient.
#[derive(Debug)]
pub(crate) struct Heart {
    rhythm: Rhythm,
    /// Seconds since the current beat began.
    elapsed: f64,
    /// Duration of the current beat, in seconds.
    beat: f64,
}

/// A wave of the ECG: its center in seconds after the start of the beat, its width, and its height
/// in percent of the R wave.
struct Wave {
    center: f64,
    width: f64,
    height: f64,
}

const P: Wave = Wave { center: 0.09, width: 0.024, height: 11.0 };
const Q: Wave = Wave { center: 0.162, width: 0.010, height: -11.0 };
const R: Wave = Wave { center: 0.190, width: 0.015, height: 100.0 };
const S: Wave = Wave { center: 0.218, width: 0.012, height: -24.0 };
/// The center is relative to the R wave in a beat of one second. It scales with the square root of
/// the beat's duration (Bazett's formula).
const T: Wave = Wave { center: 0.270, width: 0.055, height: 23.0 };

impl Heart {
    pub(crate) fn new(rhythm: Rhythm, random: &mut Random) -> Self {
        Self { rhythm, elapsed: random.unit(), beat: 1.0 }
    }

    /// Returns the samples of the next second at `heart_rate` beats per minute.
    pub(crate) fn next_second(&mut self, heart_rate: f64, random: &mut Random) -> Vec<i32> {
        (0..SAMPLE_RATE_HZ)
            .map(|_| {
                self.elapsed += 1.0 / f64::from(SAMPLE_RATE_HZ);
                if self.elapsed >= self.beat {
                    self.elapsed -= self.beat;
                    self.beat = self.next_beat(heart_rate, random);
                }
                round(self.sample() + random.noise() * 0.9)
            })
            .collect()
    }

    fn next_beat(&self, heart_rate: f64, random: &mut Random) -> f64 {
        let variation = if self.rhythm == Rhythm::Sinus { 0.012 } else { 0.13 };
        (60.0 / heart_rate * (1.0 + variation * random.noise())).clamp(0.28, 2.5)
    }

    fn sample(&self) -> f64 {
        let stretch = self.beat.sqrt();
        let t = Wave { center: R.center + T.center * stretch, width: T.width * stretch, ..T };
        let atria = if self.rhythm == Rhythm::Sinus { P.at(self.elapsed) } else { (self.elapsed * 40.0).sin() * 2.5 };
        atria + Q.at(self.elapsed) + R.at(self.elapsed) + S.at(self.elapsed) + t.at(self.elapsed)
    }
}

impl Wave {
    fn at(&self, time: f64) -> f64 {
        let distance = (time - self.center) / self.width;
        self.height * (-distance * distance).exp()
    }
}
