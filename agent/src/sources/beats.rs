//! A scratch source that counts beats, on Windows only.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::sampler::Sampler;
use super::{Source, SourceContext, SourceReports};
use crate::config::Settings;
use crate::signals::metrics;

/// Interval between two beats.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The running source.
#[derive(Debug)]
pub struct BeatSource {
    _sampler: Sampler,
}

#[async_trait]
impl Source for BeatSource {
    fn is_enabled(settings: &Settings) -> bool {
        cfg!(windows) && settings.beats.enabled
    }

    fn start(context: &SourceContext) -> io::Result<Self> {
        let beats = Arc::new(AtomicU64::new(0));
        let counted = Arc::downgrade(&beats);
        let meter = metrics::meter(&context.provider, metrics::HOST_SCOPE);
        metrics::BEATS.observe_u64(&meter, move |observer| {
            counted.upgrade().inspect(|beats| observer.observe(beats.load(Ordering::Relaxed), &[]));
        });
        let sampler = Sampler::start("beats", BEAT_INTERVAL, move || {
            beats.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(Self { _sampler: sampler })
    }

    fn report(&self, _: &mut SourceReports) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: the source is off unless it is enabled on Windows.
    ///
    /// Settings: `beats.enabled`.
    #[test]
    fn beats_are_enabled_on_windows_only() {
        let mut settings = Settings::default();
        assert!(!BeatSource::is_enabled(&settings));
        settings.beats.enabled = true;
        assert_eq!(BeatSource::is_enabled(&settings), cfg!(windows));
    }
}
