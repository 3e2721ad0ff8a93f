//! Scenario: processes start, end and reuse ids between samples.

use proptest::prelude::*;

use super::*;
use crate::ioconnect::processes::{Process, ProcessEntry};

const INTERVAL: Duration = Duration::from_secs(30);

fn process(pid: u32, started: u64, age: u64, cpu_millis: u64, memory: u64) -> Process {
    Process {
        entry: ProcessEntry { pid, parent: 1, name: String::new() },
        exe: None,
        command_line: Vec::new(),
        started,
        age: Duration::from_secs(age),
        cpu_time: Duration::from_millis(cpu_millis),
        memory,
    }
}

fn add(aggregate: &mut ProcessAggregate, at: Instant, processes: &[(Role, Process)]) {
    let members: Vec<Member<'_>> = processes.iter().map(|(role, process)| Member { process, role: *role }).collect();
    aggregate.add(at, &members);
}

fn cpu_time(aggregate: &ProcessAggregate, role: Role) -> u128 {
    aggregate.figures().roles.get(&role).map_or(0, |figures| figures.cpu_time.as_millis())
}

/// The CPU time of a role counts from the first sample on. New processes count completely, ended
/// ones as far as they were sampled. CPU time from before is never counted: not of an old process
/// that appears late, and not of another process with the same id.
#[test]
fn cpu_time_counts_from_first_sample() {
    let (start, mut aggregate) = (Instant::now(), ProcessAggregate::new(INTERVAL, 4));
    let at = |seconds| start + Duration::from_secs(seconds);
    let main = |age, cpu| (Role::Main, process(1, 100, age, cpu, 10));
    let app = |pid, started, age, cpu| (Role::Renderer, process(pid, started, age, cpu, 5));

    add(&mut aggregate, at(0), &[main(500, 90_000), app(2, 150, 450, 7000)]);
    assert_eq!((cpu_time(&aggregate, Role::Main), cpu_time(&aggregate, Role::Renderer)), (0, 0));
    add(&mut aggregate, at(30), &[main(530, 90_100), app(2, 150, 480, 7020), app(3, 610, 20, 300)]);
    assert_eq!((cpu_time(&aggregate, Role::Main), cpu_time(&aggregate, Role::Renderer)), (100, 320));
    assert_eq!(aggregate.figures().roles[&Role::Renderer].count, 2);
    assert_eq!(aggregate.figures().roles[&Role::Renderer].memory, 10);
    add(&mut aggregate, at(60), &[main(560, 90_100), app(2, 640, 20, 50), app(9, 1, 9000, 123_456)]);
    assert_eq!(cpu_time(&aggregate, Role::Renderer), 370, "id 2 is another process now, id 9 is old");
}

/// Without the platform, `main` is reported as 0 from the first sample on. CPU time of a role
/// stays; its count and memory become 0.
#[test]
fn platform_not_running_keeps_cpu_time() {
    let (start, mut aggregate) = (Instant::now(), ProcessAggregate::new(INTERVAL, 4));
    assert!(aggregate.figures().roles.is_empty());
    add(&mut aggregate, start, &[]);
    assert_eq!(aggregate.figures().roles, BTreeMap::from([(Role::Main, RoleFigures::default())]));
    assert_eq!(aggregate.figures().platforms(), 0);
    add(
        &mut aggregate,
        start + INTERVAL,
        &[(Role::Main, process(1, 1, 5, 900, 7)), (Role::Gpu, process(2, 1, 5, 100, 7))],
    );
    assert_eq!(aggregate.figures().platforms(), 1);
    add(&mut aggregate, start + INTERVAL * 2, &[]);
    let gone = |millis| RoleFigures { count: 0, memory: 0, cpu_time: Duration::from_millis(millis) };
    assert_eq!(aggregate.figures().roles, BTreeMap::from([(Role::Main, gone(900)), (Role::Gpu, gone(100))]));
}

/// The fraction is of all CPUs since the previous export. A repeated export repeats it, and time
/// during which the machine slept is not included.
#[test]
fn utilization_covers_time_since_last_export() {
    let (start, mut aggregate) = (Instant::now(), ProcessAggregate::new(INTERVAL, 4));
    let at = |seconds| start + Duration::from_secs(seconds);
    let main = |cpu| [(Role::Main, process(1, 100, 5000, cpu, 0))];
    assert!(aggregate.take_utilization().is_empty());
    add(&mut aggregate, at(0), &main(1000));
    assert!(aggregate.take_utilization().is_empty());
    add(&mut aggregate, at(30), &main(7000));
    add(&mut aggregate, at(60), &main(25_000));
    assert_eq!(*aggregate.take_utilization(), BTreeMap::from([(Role::Main, 0.1)]), "24 s of 4 x 60 s");
    assert_eq!(*aggregate.take_utilization(), BTreeMap::from([(Role::Main, 0.1)]));
    add(&mut aggregate, at(7200), &main(26_000));
    add(&mut aggregate, at(7230), &main(38_000));
    assert_eq!(*aggregate.take_utilization(), BTreeMap::from([(Role::Main, 0.1)]), "12 s of 4 x 30 s");
}

proptest! {
    /// For any sequence of lists, with processes that start, end, change their role and run
    /// backwards: the CPU time of every role never decreases, and utilization stays between 0 and
    /// 1.
    #[test]
    fn cpu_time_never_decreases(
        looks in prop::collection::vec(
            (0_u64..200, prop::collection::vec((0_u32..5, 0_u64..3, 0_u64..400, 0_u64..100_000, 0_usize..3), 0..8)),
            1..30,
        )
    ) {
        let (mut at, mut aggregate) = (Instant::now(), ProcessAggregate::new(INTERVAL, 2));
        let roles = [Role::Main, Role::Renderer, Role::Native];
        let mut before = BTreeMap::new();
        for (step, processes) in looks {
            at += Duration::from_secs(step);
            let list: Vec<(Role, Process)> = processes
                .into_iter()
                .map(|(pid, started, age, cpu, role)| (roles[role], process(pid, started, age, cpu, 1)))
                .collect();
            add(&mut aggregate, at, &list);
            let now: BTreeMap<Role, u128> = roles.iter().map(|role| (*role, cpu_time(&aggregate, *role))).collect();
            prop_assert!(before.iter().all(|(role, cpu)| now[role] >= *cpu));
            prop_assert!(aggregate.take_utilization().values().all(|share| (0.0..=1.0).contains(share)));
            before = now;
        }
    }
}
