//! The agent, and the tray over it: one task that looks at the status, shows it, and carries out what the user chooses.

use std::time::Duration;

use insights_agent::agent::Agent;
use insights_agent::consent::LogKind;
use insights_agent::control::{Reply, Request};
use insights_agent::status::Status;
use jiff::tz::TimeZone;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::model::{Action, TrayModel};
use crate::window::Page;

/// How often the status is looked at: what the tray shows is never older.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What draws the tray.
pub(crate) trait TrayView {
    /// Shows this from now on.
    fn show(&mut self, model: &TrayModel);
    /// Opens the window at a page, or brings it to the front.
    fn open(&mut self, page: Page);
}

/// Whom the tray is about.
pub(crate) trait Asked {
    /// How it is.
    fn status(&self) -> Status;
    /// Does something.
    fn ask(&self, request: Request) -> impl Future<Output = Reply>;
}

impl Asked for Agent {
    fn status(&self) -> Status {
        Self::status(self)
    }

    async fn ask(&self, request: Request) -> Reply {
        Self::ask(self, request).await
    }
}

/// Asks a user who was never asked.
pub(crate) fn welcome(agent: &impl Asked, view: &mut impl TrayView) {
    let consent = agent.status().consent;
    if !consent.asked && LogKind::ALL.iter().all(|kind| consent.decision(*kind).is_none()) {
        view.open(Page::Welcome);
    }
}

/// Shows the status until the user quits, or nobody can choose anything any more.
///
/// `wanted` changes when the window is wanted.
pub(crate) async fn run(
    agent: &impl Asked,
    view: &mut impl TrayView,
    actions: &mut UnboundedReceiver<Action>,
    mut wanted: watch::Receiver<u64>,
) {
    let zone = TimeZone::system();
    let mut shown = None;
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let model = TrayModel::of(&agent.status(), &zone);
        if shown.as_ref() != Some(&model) {
            view.show(&model);
            shown = Some(model);
        }
        let action = tokio::select! {
            _ = look.tick() => continue,
            action = actions.recv() => action,
            Ok(()) = wanted.changed() => Some(Action::Open),
        };
        let request = match action {
            None | Some(Action::Quit) => return,
            Some(Action::Share(kind)) => {
                Request::ShareLogs { kinds: vec![kind], shared: !agent.status().logs.shared.contains(&kind) }
            }
            Some(Action::Pause(until)) => Request::Pause { until },
            Some(Action::Open) => {
                view.open(Page::Overview);
                continue;
            }
        };
        if let Reply::Failed { why } = agent.ask(request).await {
            tracing::error!(why, "what was chosen in the tray could not be done");
        }
        // A system may have changed the check mark by itself.
        shown = None;
    }
}

#[cfg(test)]
mod tests;
