//! Per-CPU variables: one copy for each core, found from TPIDR_EL1.
//!
//! `per_cpu!` places the initial value in the section `.percpu`, which the linker script links at address 0: the symbol's value is the offset
//! in each core's area, so a copy is found in three instructions (MRS, MOVZ, ADD). One that is declared `near` lies in the first 4 KiB and is found in
//! two. Boot copies the template into each area before Rust uses it.
//!
//! A variable is shared with other cores by `on`, so its type must be `Sync`; `PerCpu::with` pins the caller while it looks at its own copy. On
//! the host, where there is no such section, a variable is an array.

use super::PreemptGuard;

/// One value for each core. Declared with `per_cpu!`, never built by hand.
#[derive(Debug)]
pub struct PerCpu<T: 'static> {
    /// From a core's area to its copy.
    #[cfg(target_os = "none")]
    locate: fn(usize) -> usize,
    #[cfg(target_os = "none")]
    _value: core::marker::PhantomData<&'static T>,
    #[cfg(not(target_os = "none"))]
    copies: &'static [T; super::NR_CPUS],
}

impl<T: Sync> PerCpu<T> {
    /// Calls `f` with this core's copy, preemption off meanwhile.
    ///
    /// Context: any. An interrupt may use the same copy meanwhile: the type's own atomics order the two.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicU32;
    /// tetra::per_cpu! { static TICKS: AtomicU32 = AtomicU32::new(0); }
    /// assert_eq!(TICKS.with(|ticks| ticks.inc_return()), 1);
    /// ```
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let _pinned = PreemptGuard::new();
        f(self.this())
    }

    /// This core's copy.
    ///
    /// Context: any; it is the copy of the core on which this was called. Pin the thread if it must still be that core when it is used.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicU32;
    /// tetra::per_cpu! { static TICKS: AtomicU32 = AtomicU32::new(0); }
    /// TICKS.this().inc();
    /// assert_eq!(TICKS.on(tetra::cpu::id()).read(), 1);
    /// ```
    #[inline(always)]
    pub fn this(&self) -> &'static T {
        #[cfg(target_os = "none")]
        {
            // SAFETY: the area holds a copy of the template from before the first use on, at the offset that the linker gave the symbol; it is
            // never moved or freed, and `T: Sync` makes sharing it sound even if the caller migrates.
            unsafe { &*((self.locate)(crate::arch::core_area()) as *const T) }
        }
        #[cfg(not(target_os = "none"))]
        {
            &self.copies[super::id()]
        }
    }

    /// The copy of core `cpu`. Context: any.
    ///
    /// # Panics
    /// If there is no such core.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicU32;
    /// tetra::per_cpu! { static TICKS: AtomicU32 = AtomicU32::new(0); }
    /// TICKS.on(3).inc();
    /// assert_eq!(TICKS.on(3).read(), 1);
    /// ```
    #[inline]
    pub fn on(&self, cpu: usize) -> &'static T {
        #[cfg(target_os = "none")]
        {
            // SAFETY: as in `this`; `core_area_of` checks the number.
            unsafe { &*((self.locate)(crate::arch::core_area_of(cpu)) as *const T) }
        }
        #[cfg(not(target_os = "none"))]
        {
            &self.copies[cpu]
        }
    }

    /// The copies of all cores, in order.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicU32;
    /// tetra::per_cpu! { static TICKS: AtomicU32 = AtomicU32::new(0); }
    /// TICKS.on(3).inc();
    /// assert_eq!(TICKS.iter().map(|ticks| ticks.read()).sum::<u32>(), 1);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &'static T> {
        (0..super::NR_CPUS).map(|cpu| self.on(cpu))
    }

    /// For `per_cpu!` only.
    ///
    /// # Safety
    /// `locate` adds the value of a symbol in `.percpu` that is a `T`.
    #[cfg(target_os = "none")]
    #[doc(hidden)]
    pub const unsafe fn from_locate(locate: fn(usize) -> usize) -> Self {
        Self { locate, _value: core::marker::PhantomData }
    }

    /// For `per_cpu!` only.
    #[cfg(not(target_os = "none"))]
    #[doc(hidden)]
    pub const fn from_copies(copies: &'static [T; super::NR_CPUS]) -> Self {
        Self { copies }
    }
}

/// Declares a per-CPU variable.
///
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering};
/// tetra::per_cpu! {
///     /// Ticks that this core has seen.
///     static TICKS: AtomicU64 = AtomicU64::new(0);
/// }
/// TICKS.with(|ticks| ticks.fetch_add(1, Ordering::Relaxed));
/// assert_eq!(TICKS.on(tetra::cpu::id()).load(Ordering::Relaxed), 1);
/// ```
///
/// `near static` takes one instruction less to reach, and room of which there is not much: for counters on the hottest paths.
#[macro_export]
macro_rules! per_cpu {
    () => {};
    ($(#[$meta:meta])* $vis:vis static $name:ident: $type:ty = $init:expr; $($more:tt)*) => {
        $crate::__per_cpu! {
            $(#[$meta])* $vis $name: $type = $init, ".percpu", |area, VALUE| area + $crate::arch::percpu_offset!(VALUE)
        }
        $crate::per_cpu! { $($more)* }
    };
    ($(#[$meta:meta])* $vis:vis near static $name:ident: $type:ty = $init:expr; $($more:tt)*) => {
        $crate::__per_cpu! {
            $(#[$meta])* $vis $name: $type = $init, ".percpu.near", |area, VALUE| $crate::arch::percpu_near!(VALUE, area)
        }
        $crate::per_cpu! { $($more)* }
    };
}

/// One variable: its copy of the template in `$section`, and how a core's copy is found.
#[doc(hidden)]
#[macro_export]
macro_rules! __per_cpu {
    ($(#[$meta:meta])* $vis:vis $name:ident: $type:ty = $init:expr, $section:literal, |$area:ident, $value:ident| $locate:expr) => {
        #[cfg(target_os = "none")]
        $(#[$meta])*
        $vis const $name: $crate::cpu::PerCpu<$type> = {
            #[unsafe(link_section = $section)]
            static $value: $type = $init;
            #[inline(always)]
            fn locate($area: usize) -> usize {
                $locate
            }
            // SAFETY: `locate` adds the value of the static, which lies in the template and is of this type.
            unsafe { $crate::cpu::PerCpu::from_locate(locate) }
        };

        #[cfg(not(target_os = "none"))]
        $(#[$meta])*
        $vis const $name: $crate::cpu::PerCpu<$type> = {
            static VALUES: [$type; $crate::cpu::NR_CPUS] = [const { $init }; $crate::cpu::NR_CPUS];
            $crate::cpu::PerCpu::from_copies(&VALUES)
        };
    };
}
