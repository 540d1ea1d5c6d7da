//! The four forms of an operation, and its example, from one definition.

/// The example in an operation's documentation: a variable that begins with `from`, and lines about it.
macro_rules! example {
    ($from:literal, $($line:literal)+) => {
        concat!(
            "# Examples\n```\nuse tetra::sync::atomic::AtomicI32;\n\nlet value = AtomicI32::new(", stringify!($from), ");\n",
            $($line, "\n",)+ "```"
        )
    };
}

/// Defines an operation that returns a value in its full, relaxed, acquire and release forms.
///
/// The doc comment and the example are those of the full form; each further form refers to it and states its own order.
macro_rules! ordered {
    ($(
        $(#[$doc:meta])*
        $full:ident, $relaxed:ident, $acquire:ident, $release:ident($self:ident $(, $arg:ident: $type:ty)*) -> $result:ty = |$order:ident| $body:expr;
        example $from:literal: $($line:literal)+;
    )+) => {
        $(
            $(#[$doc])*
            ///
            /// Full barrier, if it stores.
            ///
            /// Context: any.
            ///
            #[doc = example!($from, $($line)+)]
            #[inline(always)]
            pub fn $full(&$self $(, $arg: $type)*) -> $result {
                let $order = Order::Full;
                $body
            }

            #[doc = concat!("[`Self::", stringify!($full), "`] without any order.")]
            ///
            /// Context: any.
            #[inline(always)]
            pub fn $relaxed(&$self $(, $arg: $type)*) -> $result {
                let $order = Order::Relaxed;
                $body
            }

            #[doc = concat!("[`Self::", stringify!($full), "`] with acquire order, if it stores: what follows comes after its load.")]
            ///
            /// Context: any.
            #[inline(always)]
            pub fn $acquire(&$self $(, $arg: $type)*) -> $result {
                let $order = Order::Acquire;
                $body
            }

            #[doc = concat!("[`Self::", stringify!($full), "`] with release order, if it stores: what precedes comes before its store.")]
            ///
            /// Context: any.
            #[inline(always)]
            pub fn $release(&$self $(, $arg: $type)*) -> $result {
                let $order = Order::Release;
                $body
            }
        )+
    };
}

/// Defines operations that return nothing and order nothing.
macro_rules! unordered {
    ($(
        $(#[$doc:meta])*
        $name:ident($self:ident $(, $arg:ident: $type:ty)*) = $body:expr;
        example $from:literal: $($line:literal)+;
    )+) => {
        $(
            $(#[$doc])*
            ///
            /// Orders nothing. Context: any.
            ///
            #[doc = example!($from, $($line)+)]
            #[inline(always)]
            pub fn $name(&$self $(, $arg: $type)*) {
                $body;
            }
        )+
    };
}
