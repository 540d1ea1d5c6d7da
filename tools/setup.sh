#!/usr/bin/env bash
# Finds the programs that the targets of the Makefile need, installs what is missing, and writes the choices down.
#
#   tools/setup.sh FILE [GOAL...]     FILE becomes a makefile fragment: CARGO, KERNEL_LINKER, QEMU, ...
#
# Debian and Ubuntu: through apt, as root, or through sudo after asking when a person is at the terminal. Elsewhere, and
# where nobody can be asked, a message says what to install. Nothing here changes the system's list of package sources,
# and no rustup setting of the user is overridden. Set CARGO= or QEMU= to use programs of your own.
#
# The kernel is compiled with `core` and `alloc` from source: any toolchain from RUST_MIN on that has its library source
# will do, rustup's or a distribution's.
set -euo pipefail

readonly RUST_MIN=1.95
readonly QEMU_MIN=9.0

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    printf '\nsetup: %s\n' "$1" >&2
    shift
    local line
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# at_least VERSION MINIMUM: compares by numbers, 1.100 is newer than 1.95.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# ---------------------------------------------------------------------------------------------------------------------
# Installing
# ---------------------------------------------------------------------------------------------------------------------

distribution() {
    # shellcheck source=/dev/null
    (. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-unknown}" "${VERSION_CODENAME:-}") || printf 'unknown '
}

has_apt() {
    have apt-get || return 1
    case "$(distribution)" in debian* | ubuntu*) return 0 ;; esac
    grep -q '^ID_LIKE=.*\(debian\|ubuntu\)' /etc/os-release 2>/dev/null
}

may_ask() { [ -t 0 ] && [ -t 2 ]; }

# as_root WORDS COMMAND...: runs a command as root, at once if we are, through sudo if a person agrees. WORDS are the
# command as a person would type it: shown before asking, and where nobody can be asked.
as_root() {
    local words=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        "$@" </dev/null >&2
        return
    fi
    if ! have sudo || ! may_ask; then
        die 'Something is missing that only root can install. Run this, then the same make again:' "$words"
    fi
    if [ -z "${AGREED:-}" ]; then
        local answer
        read -r -p "setup: run \`$words\`? [Y/n] " answer
        case "$answer" in '' | [yYjJ]*) AGREED=1 ;; *) die 'Not installed, as you wish. It would have been:' "$words" ;; esac
    fi
    sudo "$@" >&2
}

# Container images come without package lists, and `apt-cache policy` knows nothing before the first update. Who may not
# update works with the lists there are.
apt_update() {
    [ -n "${APT_UPDATED:-}" ] && return
    APT_UPDATED=1
    if [ "$(id -u)" = 0 ] || { have sudo && may_ask; }; then
        say 'fetching the package lists'
        as_root 'sudo apt-get update' apt-get update -qq
    fi
}

apt_install() {
    say "installing $*"
    as_root "sudo apt-get install $*" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" ||
        die "apt could not install: $*"
}

apt_candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9]*:\)\{0,1\}\([0-9].*\)$/\2/p'; }

# need PROGRAM PACKAGE: a program whose version does not matter. What is missing is installed in one go.
MISSING=()
need() {
    have "$1" || MISSING+=("$2")
}

package_advice() {
    case "$(distribution)" in
        fedora* | rhel* | centos*)
            echo 'sudo dnf install gcc rust cargo rust-src clippy rustfmt lld qemu-system-aarch64-core dtc mtools util-linux gdb' ;;
        arch*)
            echo 'sudo pacman -S base-devel rust rust-src lld qemu-system-aarch64 dtc mtools gdb' ;;
        opensuse* | suse*)
            echo 'sudo zypper install gcc cargo rust-src lld qemu-arm dtc mtools gdb' ;;
        *)
            if [ "$(uname -s)" = Darwin ]; then
                echo 'brew install rustup qemu dtc mtools, then: rustup toolchain install stable --component rust-src'
            else
                echo "Packages to look for: a C compiler, Rust >= $RUST_MIN with its library source (rust-src), lld," \
                    "qemu-system-aarch64 >= $QEMU_MIN, the device tree compiler (dtc), mtools, fdisk"
            fi ;;
    esac
}

# ---------------------------------------------------------------------------------------------------------------------
# Compiler
# ---------------------------------------------------------------------------------------------------------------------

# A toolchain is the folder of its programs. It will do if it is new enough and its library source is there.
toolchain_version() { "$1/rustc" --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p'; }
toolchain_source() { [ -e "$("$1/rustc" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/core/Cargo.toml" ]; }
toolchain_is_new() {
    [ -x "$1/cargo" ] && [ -x "$1/rustc" ] || return 1
    local version
    version=$(toolchain_version "$1")
    [ -n "$version" ] && at_least "$version" "$RUST_MIN"
}
toolchain_will_do() { toolchain_is_new "$1" && toolchain_source "$1"; }
toolchain_can_check() { [ -x "$1/cargo-clippy" ] && [ -x "$1/cargo-fmt" ] && [ -x "$1/rustfmt" ]; }

# The toolchain that rustup would use here, without letting it install one.
rustup_active() {
    local cargo
    have rustup && cargo=$(RUSTUP_AUTO_INSTALL=0 rustup which cargo 2>/dev/null) && dirname "$cargo"
}

# All toolchains there are, the likeliest first: rustup's own choice, the PATH, distributions, the rest of rustup's.
toolchains() {
    rustup_active || true
    local folder
    for folder in ${PATH//:/ } /usr/bin /usr/lib/rust-*/bin; do
        # rustup's proxies in the PATH stand for the choice above.
        [ -x "$folder/cargo" ] && [ ! -x "$folder/rustup" ] && echo "$folder"
    done
    for folder in "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/bin; do
        case "$folder" in *nightly*) ;; *) [ -x "$folder/cargo" ] && echo "$folder" ;; esac
    done
    return 0
}

find_toolchain() {
    local folder
    while read -r folder; do
        if toolchain_will_do "$folder" && { [ "$1" = build ] || toolchain_can_check "$folder"; }; then
            echo "$folder"
            return
        fi
    done < <(toolchains)
    return 1
}

# rustup: add what is missing to the user's own toolchain. Failure (no network) is no error: packages come next.
add_by_rustup() {
    have rustup || return 1
    if [ "${RUSTUP_AUTO_INSTALL:-1}" = 0 ]; then
        say 'RUSTUP_AUTO_INSTALL=0: leaving rustup as it is'
        return 1
    fi
    local active
    active=$(rustup_active) || active=
    if [ -n "$active" ] && toolchain_is_new "$active"; then
        say 'rustup: adding the library source'
        rustup component add rust-src clippy rustfmt </dev/null >&2
    else
        say "rustup: installing the stable toolchain, for Rust >= $RUST_MIN"
        rustup toolchain install stable --profile minimal -c rust-src -c clippy -c rustfmt </dev/null >&2
    fi
}

# The distribution's packages: Debian keeps a current compiler as rustc-web, Ubuntu has versioned ones.
rust_packages() {
    local suffix version
    for suffix in '' -web $(apt-cache pkgnames rustc-1. 2>/dev/null | sed -n 's/^rustc\(-1\.[0-9]*\)$/\1/p' | sort -rV); do
        version=$(apt_candidate "rustc$suffix")
        at_least "${version:-0}" "$RUST_MIN" || continue
        # Source and clippy carry the suffix in the middle of their names.
        echo "rustc$suffix cargo$suffix rust$suffix-src rust$suffix-clippy rustfmt$suffix"
        return
    done
    return 1
}

# want_toolchain build|check: sets TOOLCHAIN, or leaves it empty and asks for packages.
want_toolchain() {
    if [ -n "${CARGO:-}" ]; then
        TOOLCHAIN=$(dirname "$(command -v "$CARGO" || echo "$CARGO")")
        toolchain_will_do "$TOOLCHAIN" || die "CARGO=$CARGO: not Rust >= $RUST_MIN with its library source (rust-src)."
        return
    fi
    TOOLCHAIN=$(find_toolchain "$1") && return
    say "no Rust >= $RUST_MIN with its library source yet"
    { add_by_rustup && TOOLCHAIN=$(find_toolchain "$1"); } && return
    TOOLCHAIN=
    has_apt || return 0
    apt_update
    local packages
    packages=$(rust_packages) || return 0
    read -ra packages <<<"$packages"
    MISSING+=("${packages[@]}")
}

no_toolchain() {
    die "No Rust >= $RUST_MIN with its library source, clippy and rustfmt was found. Any one of these gives it:" \
        'rustup toolchain install stable --component rust-src,clippy,rustfmt' \
        'Debian: sudo apt-get install rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web' \
        "$(package_advice)"
}

# rustc finds its own rust-lld by itself; a distribution's compiler wants package lld.
has_own_linker() {
    local own
    [ -n "$TOOLCHAIN" ] || return 1
    for own in "$("$TOOLCHAIN/rustc" --print sysroot)"/lib/rustlib/*/bin/rust-lld; do
        [ -x "$own" ] && return
    done
    return 1
}

# ---------------------------------------------------------------------------------------------------------------------
# QEMU
# ---------------------------------------------------------------------------------------------------------------------

qemu_version() { "$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p'; }

qemu_is_new() {
    local version
    [ -n "$QEMU" ] && have "$QEMU" && version=$(qemu_version "$QEMU") && [ -n "$version" ] &&
        at_least "$version" "$QEMU_MIN"
}

# Finds QEMU, or asks for its package, or for Debian 12's backport.
want_qemu() {
    BACKPORT=
    QEMU=${QEMU:-$(command -v qemu-system-aarch64 || true)}
    qemu_is_new && return
    # One of the user's own choice, or not from a package: not ours to replace.
    if ! has_apt || { [ -n "$QEMU" ] && [ "$QEMU" != /usr/bin/qemu-system-aarch64 ]; }; then return; fi
    apt_update
    local version
    version=$(apt_candidate qemu-system-arm)
    if [ -n "$version" ] && at_least "$version" "$QEMU_MIN"; then
        MISSING+=(qemu-system-arm)
    elif [ "$(distribution)" = 'debian bookworm' ]; then
        BACKPORT=1
    fi
}

no_qemu() {
    local found='is missing'
    [ -n "$QEMU" ] && have "$QEMU" && found="$(qemu_version "$QEMU") ($QEMU) is too old"
    die "QEMU $found: the machine raspi4b needs $QEMU_MIN or newer. Ways to it:" \
        'Debian 12: package qemu-system-arm of bookworm-backports' \
        'Debian 13, Ubuntu 25.04, Fedora 41, Homebrew or newer: the ordinary package' \
        'anywhere: the source of QEMU 9 or newer, ./configure --target-list=aarch64-softmmu && make' \
        'then, if it is not in the PATH: make QEMU=/path/to/qemu-system-aarch64 ...'
}

# Debian 12: QEMU from its backports, with package sources and lists of our own that go away afterwards.
install_qemu_backport() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror folder
    local words='sudo apt-get install -t bookworm-backports qemu-system-arm   (with bookworm-backports in the package sources)'
    # The mirror that this system uses already.
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "bookworm" { print $2; exit }')
    [ -n "$mirror" ] || die 'The Debian mirror of this system cannot be found. Run:' "$words"

    folder=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$folder'" EXIT
    # Readable for apt's own unprivileged user.
    chmod 755 "$folder"
    mkdir -p "$folder/sources" "$folder/lists/partial"
    cp /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources "$folder/sources/" 2>/dev/null || true
    echo "deb [signed-by=$keyring] $mirror bookworm-backports main" >"$folder/sources/backports.list"
    local own=(-o "Dir::Etc::SourceParts=$folder/sources" -o "Dir::State::Lists=$folder/lists"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)

    say 'installing QEMU from bookworm-backports (the package sources of this system stay as they are)'
    as_root "$words" apt-get "${own[@]}" update -qq
    as_root "$words" env DEBIAN_FRONTEND=noninteractive apt-get "${own[@]}" install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -t bookworm-backports qemu-system-arm ||
        die 'apt could not install QEMU from bookworm-backports.'
}

# ---------------------------------------------------------------------------------------------------------------------

# The goals of make decide what is needed: nobody installs QEMU to read the documentation.
wants() {
    local goal
    for goal in "${GOALS[@]}"; do
        case " $1 " in *" $goal "*) return 0 ;; esac
    done
    return 1
}

write_choices() {
    local text
    text="# Written by tools/setup.sh; delete it to choose again.
export PATH := $TOOLCHAIN:\$(PATH):/usr/sbin:/sbin
export CARGO := $TOOLCHAIN/cargo
export RUSTC := $TOOLCHAIN/rustc
export RUSTDOC := $TOOLCHAIN/rustdoc
export KERNEL_LINKER := $KERNEL_LINKER
export QEMU := $QEMU"
    # make starts over when this file changes, so it must not change without need.
    [ "$(cat "$1" 2>/dev/null)" = "$text" ] && return
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$text" >"$1"
    say "Rust $(toolchain_version "$TOOLCHAIN") in $TOOLCHAIN${QEMU:+, QEMU $(qemu_version "$QEMU")}"
}

main() {
    local out=$1 rust_for=build
    shift
    GOALS=("$@")
    # Where Debian keeps sfdisk; not in the PATH of ordinary users.
    PATH=$PATH:/usr/sbin:/sbin

    need cc gcc
    if has_apt; then
        [ -e /usr/include/stdlib.h ] || MISSING+=(libc6-dev)
        # Minimal images lack them, and cargo then trusts no registry.
        [ -e /etc/ssl/certs/ca-certificates.crt ] || MISSING+=(ca-certificates)
    fi
    if wants 'check test setup'; then rust_for=check; fi
    want_toolchain "$rust_for"
    has_own_linker || need ld.lld lld
    QEMU=${QEMU:-}
    if wants 'qemu gdb test soak setup'; then
        need dtc device-tree-compiler
        want_qemu
    else
        QEMU=${QEMU:-$(command -v qemu-system-aarch64 || true)}
        BACKPORT=
    fi
    if wants 'test image flash setup'; then
        need sfdisk fdisk
        need mformat mtools
    fi
    if wants 'gdb' && ! have aarch64-none-elf-gdb && ! have aarch64-linux-gnu-gdb; then need gdb-multiarch gdb-multiarch; fi

    if [ ${#MISSING[@]} -gt 0 ]; then
        has_apt || die "Missing, by Debian's names: ${MISSING[*]}" "$(package_advice)"
        apt_update
        apt_install "${MISSING[@]}"
    fi
    if [ -n "$BACKPORT" ]; then install_qemu_backport; fi

    [ -n "$TOOLCHAIN" ] || TOOLCHAIN=$(find_toolchain "$rust_for") || no_toolchain
    KERNEL_LINKER=
    has_own_linker || KERNEL_LINKER=$(command -v ld.lld) || die 'ld.lld is still missing after installing package lld.'
    if wants 'qemu gdb test soak setup'; then
        QEMU=${QEMU:-$(command -v qemu-system-aarch64 || true)}
        qemu_is_new || no_qemu
    fi
    write_choices "$out"
}

main "$@"
