//! The loop of the focus source: wait, take a snapshot, publish.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::DurationRecorder;
use super::aggregate::{FocusFigures, UsageAggregate};
use super::clock::ClockReading;
use super::crash_dumps::CrashDumps;
use super::desktop::{Desktop, DesktopSnapshot, Presence, Wakeup, Window};
use super::exit_codes::ExitCodes;
use super::instances::{Change, InstanceKey, Instances, Owner};
use super::process_tree::ProcessTree;
use super::timeline::{AppName, Interval, Observation, Timeline};
use crate::config::{ConnectSettings, FocusSettings};
use crate::ioconnect::apps::{AppNamer, OTHER, PLATFORM, WindowFacts};
use crate::ioconnect::folders;
use crate::ioconnect::processes::Role;
use crate::pause::Pause;
use crate::session::SessionState;

/// Window managers report that no window is in the foreground before they report the new one.
/// Maximum time to wait for the new one.
const FOREGROUND_SETTLE_TIMEOUT: Duration = Duration::from_millis(60);
/// Interval at which windows, processes and crash dumps are listed even if no change was reported.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

/// The state of the loop.
#[derive(Debug)]
pub(super) struct Watcher {
    aggregate: Arc<Mutex<UsageAggregate>>,
    recorder: DurationRecorder,
    settings: FocusSettings,
    pause: Pause,
    process_tree: ProcessTree,
    apps: AppNamer,
    instances: Instances,
    crash_dumps: CrashDumps,
    exit_codes: ExitCodes,
    /// None while paused.
    timeline: Option<Timeline>,
    /// Windows found by the last listing.
    listed_windows: Vec<u64>,
    had_foreground: bool,
    was_hung: bool,
    list_due: Instant,
}

impl Watcher {
    pub(super) fn new(
        aggregate: Arc<Mutex<UsageAggregate>>,
        recorder: DurationRecorder,
        settings: FocusSettings,
        connect: &ConnectSettings,
        pause: Pause,
    ) -> Self {
        Self {
            aggregate,
            recorder,
            pause,
            process_tree: ProcessTree::new(&connect.process_names),
            apps: AppNamer::new(&settings),
            settings,
            instances: Instances::default(),
            crash_dumps: CrashDumps::new(folders::user_data(connect)),
            exit_codes: ExitCodes::default(),
            timeline: None,
            listed_windows: Vec::new(),
            had_foreground: false,
            was_hung: false,
            list_due: Instant::now(),
        }
    }

    /// Runs until the desktop reports the shutdown.
    pub(super) fn run(&mut self, desktop: &mut dyn Desktop) {
        // Before the first snapshot, so that windows and processes that already exist do not count
        // as started.
        if !self.pause.is_on() {
            self.refresh_lists(desktop);
        }
        let mut wakeup = Wakeup::Timeout;
        while wakeup != Wakeup::Shutdown {
            if self.pause.is_on() {
                self.stop_observing();
            } else {
                wakeup = wakeup.max(self.observe(desktop));
                if wakeup == Wakeup::Shutdown {
                    break;
                }
                if wakeup == Wakeup::WindowsChanged || Instant::now() >= self.list_due {
                    self.refresh_lists(desktop);
                }
            }
            let is_idle = self.timeline.as_ref().is_some_and(Timeline::is_idle);
            wakeup = desktop.wait(self.settings.poll_interval.get(), is_idle);
        }
        self.stop_observing();
    }

    /// Stops observing: reports the pending intervals and clears the current state.
    fn stop_observing(&mut self) {
        if let Some(mut timeline) = self.timeline.take() {
            let intervals = timeline.finish(ClockReading::now());
            self.record_intervals(&intervals);
            let mut aggregate = self.aggregate.lock();
            let ended_focus = aggregate.end_focus();
            aggregate.current = FocusFigures::default();
            drop(aggregate);
            self.recorder.record(ended_focus);
        }
    }

    /// Takes a snapshot and adds it to the timeline. Returns what happened in the meantime.
    fn observe(&mut self, desktop: &mut dyn Desktop) -> Wakeup {
        let (mut snapshot, mut wakeup) = (desktop.snapshot(), Wakeup::Timeout);
        if snapshot.foreground.is_none() && self.had_foreground {
            let settled = Instant::now() + FOREGROUND_SETTLE_TIMEOUT;
            while snapshot.foreground.is_none() && Instant::now() < settled && wakeup != Wakeup::Shutdown {
                wakeup = wakeup.max(desktop.wait(settled.saturating_duration_since(Instant::now()), false));
                snapshot = desktop.snapshot();
            }
        }
        self.had_foreground = snapshot.foreground.is_some();
        if snapshot.foreground.as_ref().is_some_and(|foreground| !self.listed_windows.contains(&foreground.id)) {
            wakeup = wakeup.max(Wakeup::WindowsChanged);
        }
        let app = snapshot.foreground.as_ref().map_or_else(|| OTHER.into(), |foreground| self.identify(foreground).0);
        let observation = match snapshot.presence {
            Presence::Present(idle) => Observation::Present { app: Arc::clone(&app), idle },
            Presence::Absent(state) => Observation::Absent(state),
        };
        let at = ClockReading::now();
        let idle_after = self.settings.idle_after.get();
        let timeline = self.timeline.get_or_insert_with(|| Timeline::new(idle_after, at));
        let intervals = timeline.observe(at, observation);
        let (state, foreground) = timeline.current();
        self.record_intervals(&intervals);
        self.publish(&snapshot, state, foreground, desktop.problem());
        if snapshot.hangs && !self.was_hung {
            self.aggregate.lock().count_hang(&app);
        }
        self.was_hung = snapshot.hangs;
        wakeup
    }

    fn publish(
        &self,
        snapshot: &DesktopSnapshot,
        state: SessionState,
        foreground: Option<AppName>,
        problem: Option<&str>,
    ) {
        let mut aggregate = self.aggregate.lock();
        aggregate.current.state = Some(state);
        aggregate.current.app = foreground.filter(|_| snapshot.foreground.is_some()).map(|app| app.to_string());
        aggregate.current.problem = problem.map(str::to_owned);
    }

    fn record_intervals(&self, intervals: &[Interval]) {
        let mut aggregate = self.aggregate.lock();
        let completed: Vec<_> = intervals.iter().flat_map(|interval| aggregate.add_interval(interval)).collect();
        drop(aggregate);
        self.recorder.record(completed);
    }

    /// Returns the app of a window, and the object that its instance depends on.
    fn identify(&mut self, window: &Window) -> (AppName, Owner) {
        let process = self.process_tree.info(window.pid);
        let app = self.apps.name(WindowFacts {
            id: window.id,
            title: &window.title,
            class: &window.class,
            program: &process.program,
            role: process.role,
        });
        let is_window = matches!(process.role, Some(role) if role != Role::Native);
        (app, if is_window { Owner::Window(window.id) } else { Owner::Process(window.pid) })
    }

    fn refresh_lists(&mut self, desktop: &mut dyn Desktop) {
        let at = ClockReading::now();
        let mut shown = Vec::new();
        let mut processes = Vec::new();
        for key in self.instances.keys() {
            match key.owner {
                Owner::Window(id) => shown.push(id),
                Owner::Process(pid) => processes.push(pid),
            }
        }
        let windows = desktop.windows(&shown);
        let with_windows: Vec<u32> = windows.iter().map(|window| window.pid).collect();
        self.process_tree.refresh(&[with_windows.as_slice(), &processes].concat());
        self.listed_windows = windows.iter().map(|window| window.id).collect();
        self.apps.retain(|id| self.listed_windows.contains(&id));
        let mut present = Vec::new();
        for window in &windows {
            let (app, owner) = self.identify(window);
            if ![OTHER, PLATFORM].contains(&&*app) {
                present.push(InstanceKey { owner, app });
            }
        }
        // A native app without a window may be minimised to the notification area.
        let alive = self
            .instances
            .keys()
            .filter(|key| matches!(key.owner, Owner::Process(pid) if self.process_tree.is_running(pid)));
        present.extend(alive.cloned());
        present.sort();
        present.dedup();
        for key in &present {
            if let Owner::Process(pid) = key.owner {
                self.exit_codes.watch(pid);
            }
        }
        let changes = self.instances.update(at, &present);
        for change in &changes {
            if let Change::Ended { owner: Owner::Process(pid), app, .. } = change
                && self.exit_codes.crashed(*pid)
            {
                self.aggregate.lock().count_crash(app);
            }
        }
        let mut aggregate = self.aggregate.lock();
        let mut completed = aggregate.apply_changes(&at, changes, &self.instances.running());
        completed.extend(aggregate.update_platforms(at, self.process_tree.platforms(), &with_windows));
        aggregate.crash_dumps += self.crash_dumps.count_new();
        drop(aggregate);
        self.recorder.record(completed);
        self.list_due = Instant::now() + LIST_INTERVAL;
    }
}
