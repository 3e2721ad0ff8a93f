use proptest::prelude::*;

use super::*;
use crate::ioconnect::processes::{Listed, Process};

const INTERVAL: Duration = Duration::from_secs(30);

fn process(pid: u32, started: u64, age: u64, cpu_millis: u64, memory: u64) -> Process {
    Process {
        listed: Listed { pid, parent: 1, name: String::new() },
        exe: None,
        command_line: Vec::new(),
        started,
        age: Duration::from_secs(age),
        cpu_time: Duration::from_millis(cpu_millis),
        memory,
    }
}

fn add(tally: &mut Tally, at: Instant, processes: &[(Role, Process)]) {
    let members: Vec<Member<'_>> = processes.iter().map(|(role, process)| Member { process, role: *role }).collect();
    tally.add(at, &members);
}

fn cpu_time(tally: &Tally, role: Role) -> u128 {
    tally.figures().roles.get(&role).map_or(0, |figures| figures.cpu_time.as_millis())
}

/// The CPU time of a role counts from the first look on, takes new processes whole and those that have gone as far as
/// they were seen, and never takes the past of an old process that turns up late, nor that of another with the same id.
#[test]
fn cpu_time_while_processes_come_and_go() {
    let (start, mut tally) = (Instant::now(), Tally::new(INTERVAL, 4));
    let at = |seconds| start + Duration::from_secs(seconds);
    let main = |age, cpu| (Role::Main, process(1, 100, age, cpu, 10));
    let app = |pid, started, age, cpu| (Role::Renderer, process(pid, started, age, cpu, 5));

    add(&mut tally, at(0), &[main(500, 90_000), app(2, 150, 450, 7000)]);
    assert_eq!((cpu_time(&tally, Role::Main), cpu_time(&tally, Role::Renderer)), (0, 0));
    add(&mut tally, at(30), &[main(530, 90_100), app(2, 150, 480, 7020), app(3, 610, 20, 300)]);
    assert_eq!((cpu_time(&tally, Role::Main), cpu_time(&tally, Role::Renderer)), (100, 320));
    assert_eq!(tally.figures().roles[&Role::Renderer].count, 2);
    assert_eq!(tally.figures().roles[&Role::Renderer].memory, 10);
    add(&mut tally, at(60), &[main(560, 90_100), app(2, 640, 20, 50), app(9, 1, 9000, 123_456)]);
    assert_eq!(cpu_time(&tally, Role::Renderer), 370, "2 is another process now, 9 is old");
}

/// Without the platform: `main` is there with 0 from the first look on; what a role had used stays, what it has is 0.
#[test]
fn a_platform_that_is_not_running() {
    let (start, mut tally) = (Instant::now(), Tally::new(INTERVAL, 4));
    assert!(tally.figures().roles.is_empty());
    add(&mut tally, start, &[]);
    assert_eq!(tally.figures().roles, BTreeMap::from([(Role::Main, RoleFigures::default())]));
    assert_eq!(tally.figures().platforms(), 0);
    add(&mut tally, start + INTERVAL, &[(Role::Main, process(1, 1, 5, 900, 7)), (Role::Gpu, process(2, 1, 5, 100, 7))]);
    assert_eq!(tally.figures().platforms(), 1);
    add(&mut tally, start + INTERVAL * 2, &[]);
    let gone = |millis| RoleFigures { count: 0, memory: 0, cpu_time: Duration::from_millis(millis) };
    assert_eq!(tally.figures().roles, BTreeMap::from([(Role::Main, gone(900)), (Role::Gpu, gone(100))]));
}

/// The share is of all CPUs, over the time since the export before; a repeated export repeats it, and the time that a
/// machine slept is not in it.
#[test]
fn utilization_since_the_last_export() {
    let (start, mut tally) = (Instant::now(), Tally::new(INTERVAL, 4));
    let at = |seconds| start + Duration::from_secs(seconds);
    let main = |cpu| [(Role::Main, process(1, 100, 5000, cpu, 0))];
    assert!(tally.take_utilization().is_empty());
    add(&mut tally, at(0), &main(1000));
    assert!(tally.take_utilization().is_empty());
    add(&mut tally, at(30), &main(7000));
    add(&mut tally, at(60), &main(25_000));
    assert_eq!(*tally.take_utilization(), BTreeMap::from([(Role::Main, 0.1)]), "24 s of 4 x 60 s");
    assert_eq!(*tally.take_utilization(), BTreeMap::from([(Role::Main, 0.1)]));
    add(&mut tally, at(7200), &main(26_000));
    add(&mut tally, at(7230), &main(38_000));
    assert_eq!(*tally.take_utilization(), BTreeMap::from([(Role::Main, 0.1)]), "12 s of 4 x 30 s");
}

proptest! {
    /// For any sequence of lists, with processes that come, go, change their role and run backwards: the CPU time of every
    /// role never shrinks, and utilization is a share.
    #[test]
    fn cpu_time_only_grows(
        looks in prop::collection::vec(
            (0_u64..200, prop::collection::vec((0_u32..5, 0_u64..3, 0_u64..400, 0_u64..100_000, 0_usize..3), 0..8)),
            1..30,
        )
    ) {
        let (mut at, mut tally) = (Instant::now(), Tally::new(INTERVAL, 2));
        let roles = [Role::Main, Role::Renderer, Role::Native];
        let mut before = BTreeMap::new();
        for (step, processes) in looks {
            at += Duration::from_secs(step);
            let list: Vec<(Role, Process)> = processes
                .into_iter()
                .map(|(pid, started, age, cpu, role)| (roles[role], process(pid, started, age, cpu, 1)))
                .collect();
            add(&mut tally, at, &list);
            let now: BTreeMap<Role, u128> = roles.iter().map(|role| (*role, cpu_time(&tally, *role))).collect();
            prop_assert!(before.iter().all(|(role, cpu)| now[role] >= *cpu));
            prop_assert!(tally.take_utilization().values().all(|share| (0.0..=1.0).contains(share)));
            before = now;
        }
    }
}
