//! The electrocardiogram: beat after beat, as a curve of samples.

use crate::simulation::{Random, whole};

/// Samples a second.
pub(crate) const RATE: u32 = 100;

/// What makes the heart beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Regular, as it should be.
    Sinus,
    /// Irregular, and without a P wave.
    AtrialFibrillation,
}

/// One heart.
#[derive(Debug)]
pub(crate) struct Heart {
    rhythm: Rhythm,
    /// Seconds since the present beat began, and how long it lasts.
    at: f64,
    beat: f64,
}

/// A bump of the curve: its middle in seconds after the beat began, its width, and its height where 100 is the R wave.
struct Wave {
    middle: f64,
    width: f64,
    height: f64,
}

const P: Wave = Wave { middle: 0.09, width: 0.024, height: 11.0 };
const Q: Wave = Wave { middle: 0.162, width: 0.010, height: -11.0 };
const R: Wave = Wave { middle: 0.190, width: 0.015, height: 100.0 };
const S: Wave = Wave { middle: 0.218, width: 0.012, height: -24.0 };
/// Its distance from the R wave is for a beat of one second; it shrinks with the root of the beat, as Bazett found.
const T: Wave = Wave { middle: 0.270, width: 0.055, height: 23.0 };

impl Heart {
    pub(crate) fn new(rhythm: Rhythm, random: &mut Random) -> Self {
        Self { rhythm, at: random.unit(), beat: 1.0 }
    }

    /// The next second of the curve, at so many beats a minute.
    pub(crate) fn second(&mut self, heart_rate: f64, random: &mut Random) -> Vec<i32> {
        (0..RATE)
            .map(|_| {
                self.at += 1.0 / f64::from(RATE);
                if self.at >= self.beat {
                    self.at -= self.beat;
                    self.beat = self.next_beat(heart_rate, random);
                }
                whole(self.curve() + random.noise() * 0.9)
            })
            .collect()
    }

    fn next_beat(&self, heart_rate: f64, random: &mut Random) -> f64 {
        let irregular = if self.rhythm == Rhythm::Sinus { 0.012 } else { 0.13 };
        (60.0 / heart_rate * (1.0 + irregular * random.noise())).clamp(0.28, 2.5)
    }

    fn curve(&self) -> f64 {
        let stretch = self.beat.sqrt();
        let t = Wave { middle: R.middle + T.middle * stretch, width: T.width * stretch, ..T };
        let atria = if self.rhythm == Rhythm::Sinus { P.at(self.at) } else { (self.at * 40.0).sin() * 2.5 };
        atria + Q.at(self.at) + R.at(self.at) + S.at(self.at) + t.at(self.at)
    }
}

impl Wave {
    fn at(&self, time: f64) -> f64 {
        let distance = (time - self.middle) / self.width;
        self.height * (-distance * distance).exp()
    }
}
