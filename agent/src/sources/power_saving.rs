//! Detects when the machine should save power or network traffic: on battery, or on a metered
//! network.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

use super::host::runs_on_battery;
use super::sampler::Sampler;
use crate::pipeline::exporter::PowerSaving;

/// Interval of the check. A change that is noticed late only means a few requests more or less.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Checks the power supply and the network until it is dropped.
#[derive(Debug)]
pub struct PowerSavingMonitor {
    power_saving: watch::Receiver<Option<PowerSaving>>,
    _sampler: Sampler,
}

impl PowerSavingMonitor {
    /// Starts the monitor.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let (publish, power_saving) = watch::channel(None);
        let mut is_metered = metered();
        let sampler = Sampler::start("saving", CHECK_INTERVAL, move || {
            let reason = if is_metered() {
                Some(PowerSaving::Metered)
            } else {
                runs_on_battery().then_some(PowerSaving::Battery)
            };
            publish.send_if_modified(|published| std::mem::replace(published, reason) != reason);
        })?;
        Ok(Self { power_saving, _sampler: sampler })
    }

    /// Returns a receiver for the reason to save power; none if there is none.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<PowerSaving>> {
        self.power_saving.clone()
    }
}

/// Creates a check for a metered network, as reported by `NetworkManager` (property `Metered` of
/// `org.freedesktop.NetworkManager`, type `NMMetered`). The check does not start the service: on a
/// machine whose network is managed by another program, it may be installed but not in use.
#[cfg(target_os = "linux")]
fn metered() -> impl FnMut() -> bool + Send {
    /// Values of `NMMetered` that mean metered: `YES` and `GUESS_YES`.
    const METERED: [u32; 2] = [1, 3];
    const NAME: &str = "org.freedesktop.NetworkManager";

    async fn query() -> zbus::Result<u32> {
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
        let answer = runtime.as_ref().and_then(|runtime| runtime.block_on(query()).ok());
        answer.is_some_and(|answer| METERED.contains(&answer))
    }
}

/// Creates a check for a metered network, as reported by Windows (`INetworkCostManager`,
/// `NLM_CONNECTION_COST`).
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
        // SAFETY: the object is created, used and released on this thread, which enters a COM
        // apartment first and leaves it only when the thread ends; `cost` outlives the call. A null
        // address queries the cost of the machine's own connection.
        let result = unsafe {
            let _ = CoInitializeEx(None, COINIT_MULTITHREADED);
            CoCreateInstance::<_, INetworkCostManager>(&NetworkListManager, None, CLSCTX_ALL)
                .and_then(|manager| manager.GetCost(&raw mut cost, std::ptr::null()))
        };
        result.is_ok() && cost & METERED.cast_unsigned() != 0
    }
}
