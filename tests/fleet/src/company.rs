//! The simulated company: departments, apps, desks, and the desks with trouble.

use crate::Fleet;

/// A department: its share of ten desks, and how its users divide their time between apps.
#[derive(Debug)]
pub(crate) struct Department {
    pub(crate) name: &'static str,
    share: u32,
    /// App, with its weight when the next app is chosen.
    pub(crate) apps: &'static [(&'static str, u32)],
}

const DEPARTMENTS: &[Department] = &[
    Department {
        name: "trading",
        share: 5,
        apps: &[("blotter", 8), ("orders", 5), ("charts", 4), ("chat", 2), ("other", 2)],
    },
    Department { name: "research", share: 3, apps: &[("charts", 6), ("news", 4), ("chat", 1), ("other", 4)] },
    Department { name: "operations", share: 2, apps: &[("settlement", 7), ("blotter", 2), ("chat", 2), ("other", 3)] },
];

/// Interop actions of the apps, with their mean calls per minute.
pub(crate) const ACTIONS: &[(&str, f64)] =
    &[("Orders.Place", 0.6), ("Orders.Cancel", 0.2), ("Positions.Get", 1.0), (FAILING, 0.4)];
/// Action of the adapter that fails for one user and is then called repeatedly.
pub(crate) const FAILING: &str = "Prices.Subscribe";
/// Backends, with their usual response time in milliseconds.
pub(crate) const BACKENDS: &[(&str, f64)] =
    &[("https://orders.bank.example/api", 60.0), (SLOW, 90.0), ("https://positions.bank.example/api", 120.0)];
/// The backend that is slow for some users.
pub(crate) const SLOW: &str = "https://refdata.bank.example/api";

/// Trouble at a desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The machine is too small for its programs.
    Starved,
    /// The adapter fails.
    Failing,
    /// An app crashes on the first day.
    Crash,
}

/// A desk with its user.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) host: String,
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) department: &'static Department,
    pub(crate) environment: &'static str,
    pub(crate) region: &'static str,
    /// Trouble at this desk, if any.
    pub(crate) trouble: Option<Trouble>,
    /// Whether backends respond slowly.
    pub(crate) slow: bool,
    /// Whether the user shares logs.
    pub(crate) shares: bool,
}

impl Desk {
    pub(crate) fn new(number: u32, fleet: &Fleet) -> Self {
        let mut place = number % 10;
        let department = DEPARTMENTS.iter().find(|department| {
            let here = place < department.share;
            place = place.saturating_sub(department.share);
            here
        });
        let trouble = number % fleet.desks.max(Fleet::MIN_DESKS);
        Self {
            host: format!("PW{number:06}"),
            id: format!("{:032x}", u128::from(fleet.seed) << 64 | u128::from(number)),
            user: format!("user{number:06}"),
            department: department.unwrap_or(&DEPARTMENTS[0]),
            environment: if number % 4 == 3 { "UAT" } else { "PROD" },
            region: if number.is_multiple_of(2) { "EMEA" } else { "AMER" },
            trouble: match trouble {
                1 => Some(Trouble::Starved),
                2 => Some(Trouble::Failing),
                3 => Some(Trouble::Crash),
                _ => None,
            },
            slow: number % 10 == 4,
            shares: !number.is_multiple_of(5),
        }
    }
}
