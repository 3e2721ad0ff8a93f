//! Values that are read from the operating system only when metrics are exported: paging space, the
//! system volume, network traffic and batteries.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute;
use starship_battery::{Battery, Manager, State};
use sysinfo::{NetworkData, Networks, System};

use super::aggregate::Space;
use super::machine::{Memory, SystemVolume};

/// Instruments are read one after the other. Reads within this time belong to the same export.
const SAME_EXPORT_WINDOW: Duration = Duration::from_secs(1);

/// Maximum number of interfaces remembered after they have disappeared. Without a limit, interfaces
/// with ever-changing names, such as those of containers, would accumulate.
const MAX_REMEMBERED_INTERFACES: usize = 64;

/// The readings of one export.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Readings {
    pub(super) paging: Option<Space>,
    /// Mount point and space.
    pub(super) volume: Option<(String, Space)>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) batteries: Vec<BatteryReading>,
    pub(super) external_power: Option<bool>,
    pub(super) uptime: Option<u64>,
}

/// Bytes transferred over one interface since the agent started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Traffic {
    pub(super) interface: String,
    pub(super) received: u64,
    pub(super) transmitted: u64,
}

/// One battery.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BatteryReading {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) charge: f64,
}

/// Reads the operating system at most once per export.
#[derive(Debug)]
pub(super) struct ReadingsCache {
    memory: Memory,
    volume: SystemVolume,
    networks: Option<Networks>,
    sums: TrafficSums,
    batteries: Option<Manager>,
    readings: Option<(Instant, Readings)>,
}

impl ReadingsCache {
    pub(super) fn new() -> Self {
        let mut this = Self {
            memory: Memory::new(),
            volume: SystemVolume::new(),
            networks: Networks::new().ok(),
            sums: TrafficSums::default(),
            batteries: Manager::new().ok(),
            readings: None,
        };
        _ = this.traffic();
        this
    }

    /// Returns the readings of the export that is in progress at `now`.
    pub(super) fn readings(&mut self, now: Instant) -> &Readings {
        let fresh = self.readings.take().filter(|(at, _)| now.saturating_duration_since(*at) < SAME_EXPORT_WINDOW);
        let readings = fresh.unwrap_or_else(|| (now, self.read()));
        &self.readings.insert(readings).1
    }

    fn read(&mut self) -> Readings {
        let batteries = self.batteries();
        Readings {
            paging: self.memory.paging(),
            volume: self.volume.read(),
            traffic: self.traffic(),
            external_power: external_power(batteries.iter().map(Battery::state)),
            batteries: batteries.iter().enumerate().map(|(index, battery)| battery_reading(index, battery)).collect(),
            uptime: System::uptime().ok(),
        }
    }

    fn traffic(&mut self) -> Vec<Traffic> {
        let Some(networks) = &mut self.networks else { return Vec::new() };
        networks.refresh(true);
        let totals = networks.iter().filter(|(_, data)| !is_loopback(data)).map(|(name, data)| Traffic {
            interface: name.to_string_lossy().into_owned(),
            received: data.total_received(),
            transmitted: data.total_transmitted(),
        });
        self.sums.add(totals)
    }

    /// Enumerates the batteries every time, because docks and power supplies with batteries come
    /// and go.
    fn batteries(&self) -> Vec<Battery> {
        let found = self.batteries.as_ref().and_then(|manager| manager.batteries().ok());
        found.map(|batteries| batteries.filter_map(Result::ok).collect()).unwrap_or_default()
    }
}

fn is_loopback(data: &NetworkData) -> bool {
    data.ip_networks().iter().any(|network| network.addr.is_loopback())
}

fn battery_reading(index: usize, battery: &Battery) -> BatteryReading {
    let mut attributes = vec![KeyValue::new(attribute::HW_ID, format!("battery{index}"))];
    for (key, value) in [(attribute::HW_VENDOR, battery.vendor()), (attribute::HW_MODEL, battery.model())] {
        attributes.extend(value.map(|value| KeyValue::new(key, value.to_owned())));
    }
    BatteryReading { attributes, charge: f64::from(battery.state_of_charge().value).clamp(0.0, 1.0) }
}

/// Returns whether the machine runs on battery.
pub(in crate::sources) fn runs_on_battery() -> bool {
    let found = Manager::new().and_then(|manager| manager.batteries());
    let states = found.into_iter().flatten().filter_map(Result::ok).map(|battery| battery.state());
    external_power(states) == Some(false)
}

/// Returns whether the machine runs on external power, derived from the states of its batteries:
/// one discharging battery means no; without any known state the answer is unknown.
fn external_power(states: impl Iterator<Item = State>) -> Option<bool> {
    states.fold(None, |known, state| match state {
        State::Discharging => Some(false),
        State::Charging | State::Full | State::Paused => known.or(Some(true)),
        State::Empty | State::Unknown => known,
    })
}

/// Traffic per interface since the agent started. The operating system reports totals that restart
/// from zero when an interface does; the sums here never decrease.
#[derive(Debug, Default)]
struct TrafficSums {
    interfaces: HashMap<String, InterfaceSum>,
}

#[derive(Debug, Default)]
struct InterfaceSum {
    last_total: Traffic,
    sum: Traffic,
    is_present: bool,
}

impl TrafficSums {
    /// Adds the current totals of all interfaces. Returns the sums of the interfaces that are
    /// present and have ever carried data.
    fn add(&mut self, totals: impl Iterator<Item = Traffic>) -> Vec<Traffic> {
        for sums in self.interfaces.values_mut() {
            sums.is_present = false;
        }
        for total in totals.filter(|total| total.received > 0 || total.transmitted > 0) {
            let sums = self.interfaces.entry(total.interface.clone()).or_insert_with(|| InterfaceSum {
                last_total: total.clone(),
                sum: Traffic { interface: total.interface.clone(), ..Traffic::default() },
                is_present: true,
            });
            sums.sum.received += counter_growth(sums.last_total.received, total.received);
            sums.sum.transmitted += counter_growth(sums.last_total.transmitted, total.transmitted);
            sums.last_total = total;
            sums.is_present = true;
        }
        if self.interfaces.len() > MAX_REMEMBERED_INTERFACES {
            self.interfaces.retain(|_, sums| sums.is_present);
        }
        self.interfaces.values().filter(|sums| sums.is_present).map(|sums| sums.sum.clone()).collect()
    }
}

/// Returns the growth of a counter. A counter that is lower than before has restarted from zero.
const fn counter_growth(before: u64, now: u64) -> u64 {
    if now >= before { now - before } else { now }
}

#[cfg(test)]
mod tests;
