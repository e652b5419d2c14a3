use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use sysinfo::{DiskRefreshKind, Disks, MINIMUM_CPU_UPDATE_INTERVAL, Networks, System};
use tidings::Topic;
use tokio::runtime::Handle;

use crate::stage::Stage;

const EVERY: Duration = Duration::from_millis(250);

/// Figures of this machine, as published to the topic `host`. Rates are in bytes a second.
#[derive(Serialize)]
struct Figures {
    /// Load of each processor, in per cent.
    cpu: Vec<f32>,
    mem: Memory,
    net: Network,
    disk: Disk,
}

#[derive(Serialize)]
struct Memory {
    used: u64,
    total: u64,
}

#[derive(Serialize)]
struct Network {
    rx: u64,
    tx: u64,
}

#[derive(Serialize)]
struct Disk {
    read: u64,
    written: u64,
}

/// Publishes the figures four times a second, from a thread of its own, since reading them blocks.
pub(crate) fn start(stage: Stage) {
    let runtime = Handle::current();
    thread::spawn(move || {
        let Ok(topic) = Topic::new("host") else { return };
        let mut probe = Probe::new();
        loop {
            thread::sleep(EVERY.max(MINIMUM_CPU_UPDATE_INTERVAL));
            runtime.block_on(stage.publish(&topic, probe.read()));
        }
    });
}

struct Probe {
    system: System,
    networks: Networks,
    disks: Disks,
    last: Instant,
}

impl Probe {
    fn new() -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        Self {
            system,
            networks: Networks::new_with_refreshed_list(),
            disks: Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_io_usage()),
            last: Instant::now(),
        }
    }

    fn read(&mut self) -> Figures {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_io_usage());
        let seconds = self.last.elapsed().as_secs_f64().max(0.001);
        self.last = Instant::now();
        let rate = |bytes: u64| (bytes as f64 / seconds) as u64;

        let cpu = self.system.cpus().iter().map(|cpu| (cpu.cpu_usage() * 10.0).round() / 10.0).collect();
        let (rx, tx) = self
            .networks
            .values()
            .fold((0, 0), |(rx, tx), network| (rx + network.received(), tx + network.transmitted()));
        // A device that is mounted twice counts once.
        let devices: HashMap<_, _> = self.disks.iter().map(|disk| (disk.name(), disk.usage())).collect();
        let (read, written) = devices
            .values()
            .fold((0, 0), |(read, written), usage| (read + usage.read_bytes, written + usage.written_bytes));
        Figures {
            cpu,
            mem: Memory { used: self.system.used_memory(), total: self.system.total_memory() },
            net: Network { rx: rate(rx), tx: rate(tx) },
            disk: Disk { read: rate(read), written: rate(written) },
        }
    }
}
