//! Error numbers with Linux's names and values.
//!
//! Subsystems return small error enums of their own (`AllocError`, `TryLockError`, ...); `Errno` is the common language they convert
//! into where a caller only wants to know, in a word that every kernel engineer reads at a glance, what went wrong. One flat enum and
//! not a newtype over `i32`, so that a `match` is checked and `Option<Errno>` and `Result<(), Errno>` stay two bytes.
//!
//! Only the numbers that a kernel without files, sockets and user space can produce are here. The values are the generic ones that
//! AArch64 uses; numbers from 512 up never leave a kernel.

use core::fmt;

/// Declares the enum and its table of names from one list, so that the two cannot drift apart.
macro_rules! errnos {
    ($($name:ident = $code:literal, $text:literal;)+) => {
        /// An error number of Linux, by its name.
        ///
        /// Printed as `EINVAL (22)`; `{:#}` adds the meaning: `EINVAL (22): invalid argument`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Errno {
            $(#[doc = concat!("The condition \"", $text, "\".")] $name = $code,)+
        }

        impl Errno {
            /// Every error number, in ascending order of its value.
            pub const ALL: &[Errno] = &[$(Errno::$name),+];

            /// The symbolic name, such as `"EINVAL"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name),)+ }
            }

            /// The meaning in a few words, such as `"invalid argument"`.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self { $(Errno::$name => $text,)+ }
            }

            /// The error of value `code` (positive), if this kernel knows it.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Errno> {
                match code { $($code => Some(Errno::$name),)+ _ => None }
            }
        }
    };
}

errnos! {
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such entry";
    ESRCH = 3, "no such thread";
    EINTR = 4, "interrupted by a signal";
    EIO = 5, "input or output failed";
    ENXIO = 6, "no such device or address";
    E2BIG = 7, "argument list too long";
    EBADF = 9, "bad handle";
    ECHILD = 10, "no child to wait for";
    EAGAIN = 11, "try again";
    ENOMEM = 12, "out of memory";
    EACCES = 13, "access denied";
    EFAULT = 14, "bad address";
    EBUSY = 16, "device or resource busy";
    EEXIST = 17, "already exists";
    ENODEV = 19, "no such device";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "table full";
    EFBIG = 27, "too large";
    ENOSPC = 28, "no space left";
    EPIPE = 32, "other end is gone";
    EDOM = 33, "argument out of domain";
    ERANGE = 34, "result out of range";
    EDEADLK = 35, "would deadlock";
    ENAMETOOLONG = 36, "name too long";
    ENOLCK = 37, "no locks left";
    ENOSYS = 38, "not implemented";
    ENOMSG = 42, "no message of that kind";
    ENODATA = 61, "no data";
    ETIME = 62, "timer expired";
    EPROTO = 71, "protocol violated";
    EBADMSG = 74, "message damaged";
    EOVERFLOW = 75, "value too large for its type";
    EILSEQ = 84, "illegal byte sequence";
    EUSERS = 87, "too many users";
    EMSGSIZE = 90, "message too long";
    EOPNOTSUPP = 95, "operation not supported";
    ENOBUFS = 105, "no buffer space";
    EISCONN = 106, "already connected";
    ETIMEDOUT = 110, "timed out";
    EALREADY = 114, "already in progress";
    EINPROGRESS = 115, "now in progress";
    EREMOTEIO = 121, "remote device failed";
    ECANCELED = 125, "cancelled";
    EOWNERDEAD = 130, "owner died";
    ENOTRECOVERABLE = 131, "state not recoverable";
    ERFKILL = 132, "switched off";
    EHWPOISON = 133, "memory page has a hardware error";
    ERESTARTSYS = 512, "interrupted, to be restarted";
    ERESTARTNOINTR = 513, "interrupted, always restarted";
    ENOIOCTLCMD = 515, "no such control command";
    ENOTSUPP = 524, "not supported inside the kernel";
}

impl Errno {
    /// The other name of [`Errno::EAGAIN`], used where a call would have had to sleep.
    pub const EWOULDBLOCK: Errno = Errno::EAGAIN;
    /// The other name of [`Errno::EDEADLK`].
    pub const EDEADLOCK: Errno = Errno::EDEADLK;
    /// The other name of [`Errno::EOPNOTSUPP`].
    pub const ENOTSUP: Errno = Errno::EOPNOTSUPP;

    /// The positive value, such as 22 for `EINVAL`.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())?;
        if f.alternate() {
            write!(f, ": {}", self.describe())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::prelude::v1::*;

    #[test]
    fn names_and_values_agree() {
        assert_eq!(Errno::EINVAL.to_string(), "EINVAL (22)");
        assert_eq!(format!("{:#}", Errno::ERESTARTSYS), "ERESTARTSYS (512): interrupted, to be restarted");
        assert_eq!(Errno::ENOTSUP.code(), 95);
        assert_eq!(Errno::EWOULDBLOCK.name(), "EAGAIN");
    }

    #[test]
    fn every_value_is_found_again_and_ascends() {
        for (i, &errno) in Errno::ALL.iter().enumerate() {
            assert_eq!(Errno::from_code(errno.code()), Some(errno));
            assert!(i == 0 || Errno::ALL[i - 1].code() < errno.code());
        }
        assert_eq!(Errno::from_code(0), None);
        assert_eq!(Errno::from_code(-22), None);
    }

    #[test]
    fn stays_two_bytes() {
        assert_eq!(size_of::<Result<(), Errno>>(), 2);
    }

    /// The host's C library has the generic numbers too: any name it shares must have the same meaning there.
    #[cfg(target_os = "linux")]
    #[test]
    fn host_knows_the_same_numbers() {
        let known = |e: Errno| !std::io::Error::from_raw_os_error(e.code()).to_string().contains("Unknown error");
        assert!(Errno::ALL.iter().filter(|e| e.code() < 512).all(|&e| known(e)));
    }
}
