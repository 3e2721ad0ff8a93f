//! Whether the machine is to be spared: it runs on battery, or its link to the network is metered.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use super::host::runs_on_battery;
use super::sampler::Sampler;
use crate::pipeline::exporter::Saving;

/// How often it is looked: nobody minds some requests more or less.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// Looks until it is dropped.
#[derive(Debug)]
pub struct SavingSource {
    saving: watch::Receiver<Option<Saving>>,
    _sampler: Sampler,
}

impl SavingSource {
    /// Begins.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Self> {
        let (tell, saving) = watch::channel(None);
        let mut is_metered = metered();
        let sampler = Sampler::start("saving", LOOK_INTERVAL, move || {
            let now = if is_metered() { Some(Saving::Metered) } else { runs_on_battery().then_some(Saving::Battery) };
            tell.send_if_modified(|told| std::mem::replace(told, now) != now);
        })?;
        Ok(Self { saving, _sampler: sampler })
    }

    /// Why the machine is spared, now and after every change; none if it is not.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Saving>> {
        self.saving.clone()
    }
}

/// Tells whether the link to the network is metered, as `NetworkManager` knows it (property `Metered` of
/// `org.freedesktop.NetworkManager`, `NMMetered`). It is not started for that: a machine whose network is somebody else's has it
/// installed at most.
#[cfg(target_os = "linux")]
fn metered() -> impl FnMut() -> bool + Send {
    /// Answers of `NMMetered`: it is, or most likely so.
    const METERED: [u32; 2] = [1, 3];
    const NAME: &str = "org.freedesktop.NetworkManager";

    async fn ask() -> zbus::Result<u32> {
        let connection = zbus::Connection::system().await?;
        let bus = zbus::fdo::DBusProxy::new(&connection).await?;
        if !bus.name_has_owner(NAME.try_into()?).await? {
            return Ok(0);
        }
        zbus::Proxy::new(&connection, NAME, "/org/freedesktop/NetworkManager", NAME)
            .await?
            .get_property("Metered")
            .await
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok();
    move || {
        let answer = runtime.as_ref().and_then(|runtime| runtime.block_on(ask()).ok());
        answer.is_some_and(|answer| METERED.contains(&answer))
    }
}

/// Tells whether the link to the network is metered, as Windows knows it (`INetworkCostManager`, `NLM_CONNECTION_COST`).
#[cfg(windows)]
#[allow(unsafe_code)]
fn metered() -> impl FnMut() -> bool + Send {
    use windows::Win32::Networking::NetworkListManager::{
        INetworkCostManager, NLM_CONNECTION_COST_FIXED, NLM_CONNECTION_COST_OVERDATALIMIT, NLM_CONNECTION_COST_ROAMING,
        NLM_CONNECTION_COST_VARIABLE, NetworkListManager,
    };
    use windows::Win32::System::Com::{CLSCTX_ALL, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx};
    const METERED: i32 = NLM_CONNECTION_COST_FIXED.0
        | NLM_CONNECTION_COST_VARIABLE.0
        | NLM_CONNECTION_COST_OVERDATALIMIT.0
        | NLM_CONNECTION_COST_ROAMING.0;
    || {
        let mut cost = 0_u32;
        // SAFETY: the object is made, used and released on this thread, which enters COM's apartment before and leaves it only
        // by its end; `cost` lives through the call. Without an address the cost of the machine's own link is asked for.
        let asked = unsafe {
            let _ = CoInitializeEx(None, COINIT_MULTITHREADED);
            CoCreateInstance::<_, INetworkCostManager>(&NetworkListManager, None, CLSCTX_ALL)
                .and_then(|link| link.GetCost(&raw mut cost, std::ptr::null()))
        };
        asked.is_ok() && cost & METERED.cast_unsigned() != 0
    }
}
