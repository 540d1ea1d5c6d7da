# GDB for Tetra in QEMU: read by `make gdb`, or by hand with `gdb-multiarch -x tools/tetra.gdb target/qemu/kernel8.elf`.
set confirm off
set pagination off
set print pretty on
set print asm-demangle on
set print frame-arguments all
set language rust
set history save on
set architecture aarch64
target remote :1234

# Cores are GDB's threads. A hardware breakpoint holds although the code is not mapped yet.
define cores
    info threads
end
document cores
Shows where each of the four cores is.
end

define bts
    thread apply all backtrace 12
end
document bts
Shows a backtrace of each core.
end

printf "\nStopped before the first instruction. `hbreak NAME`, `c`; then `cores`, `bts`, `bt`, `info locals`.\n\n"
