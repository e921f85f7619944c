//! The wards with their patients and orders, and the tasks that send vital signs to the dashboards.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use signalr::HubContext;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::ecg::Rhythm;
use crate::hub::ClinicalDashboard;
use crate::lock;
use crate::simulation::{Limits, Monitor, Random, SignValues, Trend, WardVitals};

/// Interval between updates.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);

/// Fictional patients of each ward.
#[rustfmt::skip]
const WARDS: [(&str, &str, &[Admission]); 3] = [
    ("ICU", "Intensive care", &[
        Admission { bed: "I-1", name: "Ruth Delgado", sex: "Female", age: 71, diagnosis: "Septic shock, day 2",
            baseline: SignValues { heart_rate: 104.0, spo2: 95.5, systolic: 104.0, diastolic: 62.0, respiration: 21.0, temperature: 38.2 },
            rhythm: Rhythm::Sinus, crisis: Some(SignValues { heart_rate: 36.0, spo2: -5.0, systolic: -16.0, diastolic: -8.0, respiration: 5.0, temperature: 0.3 }) },
        Admission { bed: "I-2", name: "Tomasz Nowak", sex: "Male", age: 58, diagnosis: "After cardiac arrest",
            baseline: SignValues { heart_rate: 76.0, spo2: 97.0, systolic: 118.0, diastolic: 70.0, respiration: 15.0, temperature: 36.2 },
            rhythm: Rhythm::Sinus, crisis: None },
        Admission { bed: "I-3", name: "Aiko Mori", sex: "Female", age: 44, diagnosis: "Severe pneumonia",
            baseline: SignValues { heart_rate: 97.0, spo2: 94.5, systolic: 124.0, diastolic: 76.0, respiration: 24.0, temperature: 38.4 },
            rhythm: Rhythm::Sinus, crisis: Some(SignValues { heart_rate: 12.0, spo2: -7.0, systolic: 4.0, diastolic: 2.0, respiration: 8.0, temperature: 0.0 }) },
        Admission { bed: "I-4", name: "Samuel Mensah", sex: "Male", age: 66, diagnosis: "After major surgery",
            baseline: SignValues { heart_rate: 84.0, spo2: 98.0, systolic: 131.0, diastolic: 79.0, respiration: 15.0, temperature: 37.1 },
            rhythm: Rhythm::Sinus, crisis: None },
    ]),
    ("ER", "Emergency room", &[
        Admission { bed: "E-1", name: "Leila Haddad", sex: "Female", age: 29, diagnosis: "Asthma attack",
            baseline: SignValues { heart_rate: 108.0, spo2: 94.5, systolic: 128.0, diastolic: 80.0, respiration: 25.0, temperature: 37.0 },
            rhythm: Rhythm::Sinus, crisis: Some(SignValues { heart_rate: 20.0, spo2: -6.0, systolic: 8.0, diastolic: 4.0, respiration: 8.0, temperature: 0.0 }) },
        Admission { bed: "E-2", name: "Erik Johansson", sex: "Male", age: 37, diagnosis: "Concussion",
            baseline: SignValues { heart_rate: 68.0, spo2: 98.5, systolic: 126.0, diastolic: 82.0, respiration: 14.0, temperature: 36.8 },
            rhythm: Rhythm::Sinus, crisis: None },
        Admission { bed: "E-3", name: "Grace Kim", sex: "Female", age: 63, diagnosis: "Chest pain, observed",
            baseline: SignValues { heart_rate: 91.0, spo2: 96.0, systolic: 146.0, diastolic: 90.0, respiration: 18.0, temperature: 36.9 },
            rhythm: Rhythm::Sinus, crisis: Some(SignValues { heart_rate: 14.0, spo2: -1.0, systolic: 24.0, diastolic: 10.0, respiration: 3.0, temperature: 0.0 }) },
    ]),
    ("Cardiology", "Heart and vessels", &[
        Admission { bed: "C-1", name: "Victor Rossi", sex: "Male", age: 74, diagnosis: "Atrial fibrillation",
            baseline: SignValues { heart_rate: 106.0, spo2: 96.0, systolic: 138.0, diastolic: 84.0, respiration: 17.0, temperature: 36.7 },
            rhythm: Rhythm::AtrialFibrillation, crisis: Some(SignValues { heart_rate: 42.0, spo2: -2.0, systolic: -22.0, diastolic: -10.0, respiration: 4.0, temperature: 0.0 }) },
        Admission { bed: "C-2", name: "Hannah Weiss", sex: "Female", age: 68, diagnosis: "Heart failure",
            baseline: SignValues { heart_rate: 88.0, spo2: 94.5, systolic: 108.0, diastolic: 66.0, respiration: 20.0, temperature: 36.6 },
            rhythm: Rhythm::Sinus, crisis: None },
        Admission { bed: "C-3", name: "Omar Farouk", sex: "Male", age: 55, diagnosis: "Heart attack, day 3",
            baseline: SignValues { heart_rate: 62.0, spo2: 97.0, systolic: 122.0, diastolic: 75.0, respiration: 14.0, temperature: 36.9 },
            rhythm: Rhythm::Sinus, crisis: Some(SignValues { heart_rate: -18.0, spo2: -1.0, systolic: -18.0, diastolic: -8.0, respiration: 0.0, temperature: 0.0 }) },
    ]),
];

struct Admission {
    bed: &'static str,
    name: &'static str,
    sex: &'static str,
    age: u8,
    diagnosis: &'static str,
    baseline: SignValues,
    rhythm: Rhythm,
    /// Changes of the vital signs in a crisis; `None` for a stable patient.
    crisis: Option<SignValues>,
}

/// All wards.
pub(crate) struct Wards {
    wards: Vec<Ward>,
    last_order: AtomicU32,
}

/// One ward.
pub(crate) struct Ward {
    id: &'static str,
    name: &'static str,
    beds: Mutex<Vec<Bed>>,
}

struct Bed {
    patient: Patient,
    monitor: Monitor,
}

/// A patient as shown on a dashboard.
#[derive(Clone, Debug, Serialize)]
struct Patient {
    id: Uuid,
    bed: &'static str,
    name: &'static str,
    sex: &'static str,
    age: u8,
    diagnosis: &'static str,
}

/// A ward as sent to a dashboard that opens it.
#[derive(Debug, Serialize)]
pub(crate) struct WardSheet {
    id: &'static str,
    name: &'static str,
    patients: Vec<PatientSheet>,
}

#[derive(Debug, Serialize)]
struct PatientSheet {
    #[serde(flatten)]
    patient: Patient,
    limits: Limits,
    /// The trend, oldest point first.
    history: Vec<Trend>,
}

/// An order of a drug.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    number: u32,
    pub(crate) ward: &'static str,
    patient: Uuid,
    patient_name: &'static str,
    drug: String,
    ordered_by: String,
}

/// Returns the name of the group of connections that watch a ward.
pub(crate) fn group(ward_id: &str) -> String {
    format!("ward:{ward_id}")
}

impl Wards {
    /// Creates the wards and fills the trends of their patients.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut wards = Vec::with_capacity(WARDS.len());
        for (id, name, admissions) in &WARDS {
            let beds = admissions.iter().map(Bed::new).collect::<Result<_, _>>()?;
            wards.push(Ward { id, name, beds: Mutex::new(beds) });
        }
        Ok(Self { wards, last_order: AtomicU32::new(1_000) })
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Ward> {
        self.wards.iter().find(|ward| ward.id == id)
    }

    /// Orders a drug for a patient; `None` if there is no such patient.
    pub(crate) fn order(&self, patient_id: Uuid, drug: &str, ordered_by: &str) -> Option<Order> {
        let (ward, patient_name) =
            self.wards.iter().find_map(|ward| Some((ward.id, ward.patient_name(patient_id)?)))?;
        let number = self.last_order.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Order {
            number,
            ward,
            patient: patient_id,
            patient_name,
            drug: drug.to_owned(),
            ordered_by: ordered_by.to_owned(),
        })
    }
}

impl Ward {
    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    /// Returns the patients, limits and trends that a dashboard needs to show the ward.
    pub(crate) fn sheet(&self) -> WardSheet {
        let patients = lock(&self.beds)
            .iter()
            .map(|Bed { patient, monitor }| PatientSheet {
                patient: patient.clone(),
                limits: monitor.limits(),
                history: monitor.history(),
            })
            .collect();
        WardSheet { id: self.id, name: self.name, patients }
    }

    /// Advances the monitors of the ward by one second and returns the vital signs.
    fn measure(&self) -> WardVitals {
        let patients = lock(&self.beds).iter_mut().map(|bed| bed.monitor.measure(bed.patient.id)).collect();
        WardVitals { ward: self.id, patients }
    }

    fn patient_name(&self, id: Uuid) -> Option<&'static str> {
        lock(&self.beds).iter().find(|bed| bed.patient.id == id).map(|bed| bed.patient.name)
    }
}

impl Bed {
    fn new(admission: &Admission) -> Result<Self, getrandom::Error> {
        let &Admission { bed, name, sex, age, diagnosis, baseline, rhythm, crisis } = admission;
        let patient = Patient { id: Uuid::new_v4(), bed, name, sex, age, diagnosis };
        Ok(Self { patient, monitor: Monitor::new(baseline, crisis, rhythm, Random::new()?) })
    }
}

/// Starts a task for each ward that sends its vital signs to the dashboards that watch it. Separate
/// tasks keep slow dashboards of one ward from delaying another ward.
pub(crate) fn publish(wards: &Arc<Wards>, dashboards: &HubContext<ClinicalDashboard>, tasks: &mut JoinSet<()>) {
    for index in 0..wards.wards.len() {
        let (wards, dashboards) = (Arc::clone(wards), dashboards.clone());
        tasks.spawn(async move {
            let ward = &wards.wards[index];
            let group = group(ward.id);
            let mut ticks = interval(UPDATE_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let vitals = ward.measure();
                if let Err(error) = dashboards.clients().group(&group).vitals_updated(&vitals).await {
                    tracing::warn!(ward = ward.id, %error, "failed to send vital signs");
                }
            }
        });
    }
}
