//! Scenario: the user chooses items of the tray menu while an agent runs.

#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::rc::Rc;

use insights_agent::config::{self, FileChoice, Inputs};
use insights_agent::paths::DataDir;
use insights_agent::pause::PauseFor;
use insights_agent::status::Health;
use tokio::sync::mpsc::unbounded_channel;

use super::*;

/// Records what was shown and which pages were opened.
#[derive(Clone, Default)]
struct Fake(Rc<RefCell<Vec<TrayModel>>>, Rc<RefCell<Vec<Page>>>);

impl TrayView for Fake {
    fn show(&mut self, model: &TrayModel) {
        self.0.borrow_mut().push(model.clone());
    }

    fn open(&mut self, page: Page) {
        self.1.borrow_mut().push(page);
    }
}

impl Fake {
    async fn shows(&self, what: impl Fn(&TrayModel) -> bool) {
        let poll = async {
            while !self.0.borrow().last().is_some_and(&what) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), poll).await.is_ok(), "{:#?}", self.0.borrow().last());
    }
}

/// Scenario: a new user shares logs, stops sharing, pauses, resumes, opens the window and quits in
/// the menu.
/// Guarantees: each choice changes the agent, the tray shows the change, and the welcome page opens
/// first.
#[tokio::test]
async fn tray_choices_change_agent_and_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = Inputs {
        file: FileChoice::Default(folder.path().join("config.json")),
        last_good: None,
        registry: Vec::new(),
        policy: None,
        system_json: None,
        environment: Vec::new(),
        flags: vec!["collector.endpoint=http://127.0.0.1:1".to_owned()],
    };
    let agent = Agent::start(&config::load(&inputs).unwrap(), &DataDir::new(folder.path().join("data"))).unwrap();
    let (choose, mut actions) = unbounded_channel();
    let view = Fake::default();
    let user = async {
        view.shows(|model| !model.icon.shared).await;
        choose.send(Action::Share(LogKind::Platform)).unwrap();
        view.shows(|model| model.icon.shared).await;
        choose.send(Action::Share(LogKind::Platform)).unwrap();
        view.shows(|model| !model.icon.shared).await;
        choose.send(Action::Pause(PauseFor::OneHour)).unwrap();
        view.shows(|model| model.icon.health == Health::Paused).await;
        choose.send(Action::Pause(PauseFor::Resume)).unwrap();
        view.shows(|model| model.icon.health != Health::Paused).await;
        choose.send(Action::Open).unwrap();
        choose.send(Action::Quit).unwrap();
    };
    let mut shown = view.clone();
    welcome(&agent, &mut shown);
    tokio::join!(run(&agent, &mut shown, &mut actions, agent.window_requests()), user);
    assert_eq!(*view.1.borrow(), [Page::Welcome, Page::Overview], "the welcome page comes first");
    agent.stop().await;
}
