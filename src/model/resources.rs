//! `[resources]`: what the cgroup of a unit is held to.
//!
//! ```text
//!   memory-max = "512MiB"   ─▶ memory.max   536870912          not said ─▶ max
//!   cpu-max    = "150%"     ─▶ cpu.max      150000 100000      not said ─▶ max 100000
//! ```

/// The bounds of a unit. One that is not given is written as well, so that a sync can lift it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Bytes; who wants more is killed.
    pub memory_max: Option<u64>,
    /// Bytes; who has more is slowed down.
    pub memory_high: Option<u64>,
    /// Hundredths of one processor: 150 is one and a half.
    pub cpu_max: Option<u32>,
    /// Processes and threads.
    pub pids_max: Option<u32>,
    /// Share of the disk beside others, 1 to 10,000; 100 is what others have.
    pub io_weight: Option<u32>,
    /// What a system without them means.
    pub need: Need,
}

/// What becomes of a start where the kernel gives no cgroup, or not the controller that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// It fails.
    #[default]
    Required,
    /// It takes place without them.
    Wished,
}

/// One file of a cgroup and what is to stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whose file it is.
    pub controller: &'static str,
    /// Its name.
    pub file: &'static str,
    /// What is written.
    pub text: String,
    /// Whether the unit asks for it, or it only says that nothing is bounded.
    pub is_asked: bool,
}

/// In how many microseconds a share of the processors is measured; the kernel's usual.
const PERIOD: u64 = 100_000;

/// The weight that the kernel gives everybody.
const USUAL_WEIGHT: u32 = 100;

impl Resources {
    /// All that is written into a cgroup.
    pub fn settings(&self) -> [Setting; 5] {
        let number = |bound: Option<u64>| bound.map_or_else(|| "max".to_owned(), |number| number.to_string());
        let quota = number(self.cpu_max.map(|hundredths| u64::from(hundredths) * PERIOD / 100));
        let weight = self.io_weight.unwrap_or(USUAL_WEIGHT);
        let setting = |controller, file, text, is_asked| Setting { controller, file, text, is_asked };
        [
            setting("memory", "memory.high", number(self.memory_high), self.memory_high.is_some()),
            setting("memory", "memory.max", number(self.memory_max), self.memory_max.is_some()),
            setting("cpu", "cpu.max", format!("{quota} {PERIOD}"), self.cpu_max.is_some()),
            setting("pids", "pids.max", number(self.pids_max.map(u64::from)), self.pids_max.is_some()),
            setting("io", "io.weight", format!("default {weight}"), self.io_weight.is_some()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_is_written_as_the_kernel_takes_it_and_one_that_is_not_given_as_none() {
        let texts = |resources: &Resources| {
            resources.settings().map(|setting| format!("{} {}", setting.file, setting.text))
        };
        let all = Resources {
            memory_max: Some(1 << 20),
            memory_high: Some(1 << 19),
            cpu_max: Some(150),
            pids_max: Some(32),
            io_weight: Some(50),
            need: Need::Required,
        };
        let written = [
            "memory.high 524288",
            "memory.max 1048576",
            "cpu.max 150000 100000",
            "pids.max 32",
            "io.weight default 50",
        ];
        assert_eq!(texts(&all), written);
        let none = Resources::default();
        let lifted = [
            "memory.high max",
            "memory.max max",
            "cpu.max max 100000",
            "pids.max max",
            "io.weight default 100",
        ];
        assert_eq!(texts(&none), lifted);
        assert!(none.settings().iter().all(|setting| !setting.is_asked));
        assert!(all.settings().iter().all(|setting| setting.is_asked));
    }
}
