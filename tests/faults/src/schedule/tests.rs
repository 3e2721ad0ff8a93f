//! Scenario: schedules are created from seeds.

use std::collections::HashSet;

use super::*;

/// A failure can be repeated: the same seed gives the same schedule, and different seeds give
/// different ones.
#[test]
fn schedule_from_same_seed_is_identical() {
    let of = |seed| format!("{:?}", Schedule::of(seed));
    assert_eq!(of(7), of(7));
    let different: HashSet<String> = (0..100).map(of).collect();
    assert_eq!(different.len(), 100);
}

/// Every kind of rotation and every fault occurs often in a thousand schedules.
#[test]
fn every_fault_occurs_in_thousand_schedules() {
    let steps: Vec<Step> = (0..1000).flat_map(|seed| Schedule::of(seed).steps).map(|(step, _)| step).collect();
    let often = |wanted: &dyn Fn(&Step) -> bool| assert!(steps.iter().filter(|step| wanted(step)).count() > 50);
    for rotation in Rotation::ALL {
        often(&|step| matches!(step, Step::Rotate { how, .. } if *how == rotation));
    }
    for mode in Mode::FAULTS {
        often(&|step| *step == Step::Collector(mode));
    }
    often(&|step| matches!(step, Step::Kill));
    often(&|step| matches!(step, Step::Stop));
    often(&|step| matches!(step, Step::Suspend));
    often(&|step| matches!(step, Step::Clock(_)));
    often(&|step| matches!(step, Step::DiskFull(_)));
    often(&|step| matches!(step, Step::AppendPart { .. }));
    often(&|step| matches!(step, Step::Append { size: Size::Huge, .. }));
    often(&|step| matches!(step, Step::Append { size: Size::Bulky, .. }));
}
