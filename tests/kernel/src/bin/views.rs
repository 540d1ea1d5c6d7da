//! Views: each can be had by name and path, and the figures in them agree with those of the parts that they speak of.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use tetra::arch::NR_CPUS;
use tetra::cpu::latency::{self, Latency};
use tetra::cpu::{self, IrqGuard, PreemptGuard};
use tetra::debug::symbols;
use tetra::debug::tracepoint::{self, Event, Record};
use tetra::irq::ipi;
use tetra::mm::addr::Order;
use tetra::mm::gfp::GfpFlags;
use tetra::mm::{Pages, page_alloc};
use tetra::proc;
use tetra::sched::features::{self, Feature};
use tetra::sched::kthread::Builder;
use tetra::sched::{self, load, thread};
use tetra::sync::{Mutex, SpinLock};
use tetra::time;
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// Room for the text of a view: all but `kallsyms` fit.
static TEXT: Mutex<arrayvec::ArrayString<32768>> = Mutex::new(arrayvec::ArrayString::new_const());

/// Calls `f` with what the view `name` shows.
fn with_view<R>(name: &str, f: impl FnOnce(&str) -> R) -> Option<R> {
    let mut text = TEXT.lock();
    text.clear();
    proc::find(name)?.show(&mut *text).ok()?;
    Some(f(&text))
}

/// The number behind `name` in the view `view`: the first word of that line that is one.
fn figure(view: &str, name: &str) -> Option<u64> {
    with_view(view, |text| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
        line.split_whitespace().skip(1).find_map(|word| word.parse().ok())
    })?
}

/// Counts what it is given, and keeps nothing.
struct Counter {
    bytes: usize,
    lines: usize,
}

impl Write for Counter {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.bytes += text.len();
        self.lines += text.matches('\n').count();
        Ok(())
    }
}

case!(every_view_shows_text_by_name_and_by_path);
fn every_view_shows_text_by_name_and_by_path() {
    for view in proc::sorted() {
        for name in [view.name(), view.path()] {
            let mut counter = Counter { bytes: 0, lines: 0 };
            let shown = proc::find(name).map(|view| view.show(&mut counter));
            check_eq!(shown, Some(Ok(())));
            // These lists may be empty.
            if counter.lines == 0 && !["shrinkers", "vmallocinfo"].contains(&view.name()) {
                tetra_tests::fail(format_args!("{name} shows nothing"), core::panic::Location::caller());
            }
        }
    }
}

case!(linuxs_names_are_there_below_proc);
fn linuxs_names_are_there_below_proc() {
    let always = [
        "meminfo",
        "slabinfo",
        "buddyinfo",
        "zoneinfo",
        "vmallocinfo",
        "kallsyms",
        "interrupts",
        "softirqs",
        "timer_list",
        "stat",
        "loadavg",
        "uptime",
        "version",
        "cmdline",
        "cpuinfo",
        "iomem",
        "sched_features",
        "lockdep",
        "lockdep_stats",
        "lock_stat",
        "locks_held",
    ];
    for name in always {
        let mut path = arrayvec::ArrayString::<64>::new();
        check!(write!(path, "/proc/{name}").is_ok());
        if proc::find(&path).is_none() {
            tetra_tests::fail(format_args!("{path} is not there"), core::panic::Location::caller());
        }
    }
    check!(proc::find("/sys/kernel/debug/sched_features").is_some());
}

case!(meminfo_agrees_with_the_zones);
fn meminfo_agrees_with_the_zones() {
    let managed: usize = page_alloc::zones().iter().map(|zone| zone.managed()).sum();
    let free = || page_alloc::zones().iter().map(|zone| zone.nr_free() + page_alloc::nr_listed(zone.kind)).sum::<usize>() as u64 * 4;
    check_eq!(figure("meminfo", "MemTotal:"), Some(managed as u64 * 4));
    // Others allocate meanwhile, but not 1 MiB.
    let shown = figure("meminfo", "MemFree:").unwrap_or(0);
    check!(shown.abs_diff(free()) < 1024);
    check!(figure("meminfo", "MemAvailable:").is_some_and(|available| available <= shown + 1024));
    check_eq!(figure("meminfo", "SwapTotal:"), Some(0));
    check_eq!(figure("meminfo", "Slab:"), figure("meminfo", "SUnreclaim:"));
    check!(figure("meminfo", "Slab:").is_some_and(|slab| slab > 0));
}

case!(stat_agrees_with_uptime);
fn stat_agrees_with_uptime() {
    // user nice system idle of each core, in hundredths of a second.
    fn times_of(cpu: usize) -> Option<(u64, u64)> {
        let mut name = arrayvec::ArrayString::<8>::new();
        write!(name, "cpu{cpu}").ok()?;
        with_view("/proc/stat", |text| {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(&*name))?;
            let mut figures = line.split_whitespace().skip(3).map(str::parse::<u64>);
            Some((figures.next()?.ok()?, figures.next()?.ok()?))
        })?
    }
    for cpu in 0..NR_CPUS {
        let before = time::uptime().as_millis() as u64 / 10;
        let (system, idle) = times_of(cpu).unwrap_or((0, 0));
        let after = time::uptime().as_millis() as u64 / 10 + 1;
        check!((before..=after).contains(&(system + idle)));
    }
    // A core that computes idles no more, and one that idles does.
    let (_, busy_before) = times_of(2).unwrap_or((0, 0));
    let (_, idle_before) = times_of(3).unwrap_or((0, 0));
    let busy = Builder::new("busy").bind(2).run(|| time::mdelay(1000)).unwrap();
    check_eq!(busy.join(), Ok(()));
    let (_, busy_after) = times_of(2).unwrap_or((0, 0));
    let (_, idle_after) = times_of(3).unwrap_or((0, 0));
    check!(idle_after >= idle_before + 50);
    check!(busy_after - busy_before < idle_after - idle_before);
}

case!(stat_counts_threads_and_switches);
fn stat_counts_threads_and_switches() {
    let (made, switched) = (figure("stat", "processes"), figure("stat", "ctxt"));
    for _ in 0..5 {
        check_eq!(Builder::new("short").run(|| ()).unwrap().join(), Ok(()));
    }
    check!(figure("stat", "processes") >= made.map(|made| made + 5));
    check!(figure("stat", "ctxt") >= switched.map(|switched| switched + 5));
    check_eq!(figure("stat", "processes"), Some(u64::from(thread::last_pid())));
    check!(figure("stat", "procs_running").is_some_and(|running| running >= 1));
    check!(figure("stat", "intr").is_some_and(|interrupts| interrupts > 0));
}

case!(kallsyms_names_what_the_linker_placed);
fn kallsyms_names_what_the_linker_placed() {
    let table = symbols::table().expect("the image has a table");
    let mut counter = Counter { bytes: 0, lines: 0 };
    check_eq!(proc::find("kallsyms").map(|view| view.show(&mut counter)), Some(Ok(())));
    check_eq!(counter.lines, table.len());
    let known = [
        (sched::schedule as *const () as usize, "schedule"),
        (kallsyms_names_what_the_linker_placed as *const () as usize, "kallsyms_names"),
    ];
    for (address, name) in known {
        let found = table.lookup(address as u64);
        check!(found.as_ref().is_some_and(|symbol| symbol.offset == 0));
        let mut text = arrayvec::ArrayString::<256>::new();
        check!(found.is_none_or(|symbol| write!(text, "{}", symbol.name).is_ok()));
        check!(text.contains(name));
    }
}

case!(sched_features_are_set_by_either_path);
fn sched_features_are_set_by_either_path() {
    for path in ["/sys/kernel/debug/sched_features", "/proc/sched_features", "sched_features"] {
        let view = proc::find(path).expect("it is there");
        check_eq!(view.write("NO_IDLE_PULL"), Ok(()));
        check!(!features::is_on(Feature::IdlePull));
        check_eq!(with_view(path, |text| text.contains("NO_IDLE_PULL")), Some(true));
        check_eq!(view.write("IDLE_PULL"), Ok(()));
        check!(features::is_on(Feature::IdlePull));
    }
    check!(proc::find("sched_features").is_some_and(|view| view.write("NO_SUCH_THING").is_err()));
}

case!(interrupts_show_the_tick_and_calls_between_cores);
fn interrupts_show_the_tick_and_calls_between_cores() {
    ipi::call_on_others(|| ());
    let has = |what: &str| with_view("/proc/interrupts", |text| text.lines().any(|line| line.contains(what)));
    check_eq!(has("GICv2  27  timer"), Some(true));
    check_eq!(has("call function"), Some(true));
    check!(figure("interrupts", "IPI1:").is_some());
    check!(figure("softirqs", "TIMER:").is_some());
}

/// How many times `kind` took at least `least` on core `cpu`.
fn nr_longer(cpu: usize, kind: Latency, least: Duration) -> u32 {
    let ticks = least.as_micros() as u64 * tetra::arch::counter::frequency_hz() / 1_000_000;
    let (buckets, _) = latency::of_core(cpu, kind);
    buckets.iter().enumerate().filter(|(bucket, _)| 1 << bucket > ticks).map(|(_, count)| count).sum()
}

case!(latency_histograms_count_what_is_long);
fn latency_histograms_count_what_is_long() {
    const LONG: Duration = Duration::from_millis(40);
    let view = proc::find("/sys/kernel/debug/latency").expect("it is there");
    check_eq!(view.write("1"), Ok(()));
    latency::clear();
    let bound = Builder::new("long").bind(2).run(|| {
        {
            let _irqs_off = IrqGuard::new();
            time::mdelay(50);
        }
        let _section = PreemptGuard::new();
        time::mdelay(50);
    });
    check_eq!(bound.unwrap().join(), Ok(()));
    // Woken while a more urgent one has the core, so it waits.
    let sleeper = Builder::new("sleeper").bind(3).run(|| sched::msleep(30)).unwrap();
    let hog = Builder::new("hog").bind(3).priority(sched::Priority::new(30).unwrap()).run(|| {
        sched::msleep(10);
        time::mdelay(150);
    });
    check_eq!((sleeper.join(), hog.unwrap().join()), (Ok(()), Ok(())));
    check!(nr_longer(2, Latency::IrqsOff, LONG) >= 1);
    check!(nr_longer(2, Latency::PreemptOff, LONG) >= 1);
    check!(nr_longer(3, Latency::WakeUp, LONG) >= 1);
    check_eq!(view.write("0"), Ok(()));
    check_eq!(with_view("latency", |text| text.contains("preemption off")), Some(true));
    let sum = || cpu::online().map(|cpu| latency::of_core(cpu, Latency::PreemptOff).0.iter().sum::<u32>()).sum::<u32>();
    sched::msleep(50);
    let settled = sum();
    sched::msleep(50);
    check_eq!(sum(), settled);
}

case!(idle_time_grows_on_an_idle_core_without_a_tick);
fn idle_time_grows_on_an_idle_core_without_a_tick() {
    let before = load::idle_ticks(3);
    sched::msleep(300);
    check!(load::idle_ticks(3) > before + tetra::arch::counter::frequency_hz() / 10);
}

static CONTENDED: SpinLock<()> = SpinLock::new(());
static IS_HELD: AtomicBool = AtomicBool::new(false);

/// Times and cores of the records of this kind whose first argument is the contended lock's address.
fn waits_for_contended(event: Event) -> impl Iterator<Item = (u64, usize)> {
    let lock = (&raw const CONTENDED).addr() as u64;
    let is_lock = move |address| (lock..lock + size_of_val(&CONTENDED) as u64).contains(&address);
    let records = tracepoint::merged().filter(move |(_, record)| record.event == event && is_lock(record.arguments[0]));
    records.map(|(cpu, record)| (record.time, cpu))
}

case!(the_trace_tells_of_switches_waits_and_pages_in_order);
fn the_trace_tells_of_switches_waits_and_pages_in_order() {
    let waiter = Builder::new("waiter").bind(1).run(|| {
        while !IS_HELD.load(Ordering::Acquire) {
            sched::yield_now();
        }
        drop(CONTENDED.lock());
        u64::from(sched::current().pid())
    });
    let waiter = waiter.unwrap();
    let held = CONTENDED.lock();
    IS_HELD.store(true, Ordering::Release);
    let start = time::uptime();
    while waits_for_contended(Event::ContentionBegin).next().is_none() && time::uptime() < start + Duration::from_secs(5) {
        core::hint::spin_loop();
    }
    drop(held);
    let pid = waiter.join().unwrap();
    let pages = Pages::new(GfpFlags::KERNEL, Order::new(1).unwrap()).unwrap();
    let pfn = pages.pfn();
    drop(pages);

    let trace = proc::find("tracing_on").unwrap();
    check_eq!(trace.write("0"), Ok(()));
    let time_of = |(_, record): (usize, Record)| record.time;
    check!(tracepoint::merged().map(time_of).is_sorted());
    let has = |event, arguments: [u64; 2]| tracepoint::merged().any(|(_, record)| (record.event, record.arguments) == (event, arguments));
    check!(tracepoint::merged().any(|(cpu, record)| cpu == 1 && record.event == Event::SchedSwitch && record.arguments[1] == pid));
    check!(has(Event::MmPageAlloc, [pfn.value() as u64, 1]));
    check!(has(Event::MmPageFree, [pfn.value() as u64, 1]));
    let (begin, end) = (waits_for_contended(Event::ContentionBegin).last(), waits_for_contended(Event::ContentionEnd).last());
    check!(begin.is_some_and(|(_, cpu)| cpu == 1) && end.is_some_and(|(_, cpu)| cpu == 1) && begin < end);

    // This core's own: another may have been about to write one.
    let last = || tracepoint::merged().filter(|(cpu, _)| *cpu == cpu::id()).last();
    let kept = last();
    sched::msleep(20);
    check_eq!(last(), kept);
    check_eq!(trace.write("1"), Ok(()));
    sched::msleep(20);
    check!(last() != kept);
}
