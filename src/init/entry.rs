//! What a kernel image brings of its own: `tetra::entry!` names its code, `init_call!` adds calls to the boot.

use crate::{proc, shell};

/// A call that boot makes when all cores run, before the image's own code.
#[derive(Clone, Copy, Debug)]
pub struct InitCall {
    /// Name, for the log.
    pub name: &'static str,
    /// The call.
    pub run: fn(),
}

/// All calls of the image, in link order: what must follow another calls it itself.
#[linkme::distributed_slice]
pub static INITCALLS: [InitCall];

/// Makes the calls, on core 0, in thread context with irqs on.
pub(super) fn run_init_calls() {
    let view = proc::find_duplicate().map(|(view, _)| view.name());
    for name in [view, shell::find_duplicate()].into_iter().flatten() {
        pr_warn!("{} is registered twice: only one of the two can be reached", name);
    }
    for call in INITCALLS {
        pr_debug!("init: {}", call.name);
        (call.run)();
    }
}

/// Names the function that a kernel runs on core 0 when everything stands: `fn() -> !`. Once in an image.
///
/// ```ignore
/// tetra::entry!(main);
/// fn main() -> ! {
///     tetra::init::serve_shell()
/// }
/// ```
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn tetra_image_main() -> ! {
            let main: fn() -> ! = $main;
            main()
        }
    };
}

/// Adds a call to the boot: `init_call!(button::init);`.
#[macro_export]
macro_rules! init_call {
    ($run:path) => {
        const _: () = {
            #[$crate::proc::__linkme::distributed_slice($crate::init::entry::INITCALLS)]
            #[linkme(crate = $crate::proc::__linkme)]
            static CALL: $crate::init::entry::InitCall = $crate::init::entry::InitCall { name: stringify!($run), run: $run };
        };
    };
}
