//! Whether a function that was interrupted has pushed its frame record yet, read from its instructions.
//!
//! Frame pointers lead from callee to caller only where the callee has one: a leaf needs none, and any function runs a few instructions before its
//! prologue has set x29 and after its epilogue has taken it back. Interrupted there, the chain begins with the *caller's* record, whose address is
//! that of the caller's caller: the caller itself would be missing, and in a report it is often the name that matters. It is in x30 then, because
//! nothing was called since.
//!
//! Unwind tables would say the same for any code, but cost a tenth of the image and an interpreter that must not fail in a dying kernel. Read
//! straight through, the instructions tell it for what LLVM emits; where a function keeps code without a frame behind code with one, the answer is
//! "has a frame", which is what every address was taken for without this module.
//!
//! Source: Arm ARM C6.2 (ADD immediate, LDP, RET, B), AAPCS64 6.4.6 (the frame record).

/// Instructions looked at. A longer function has its frame by then.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// True if a function has its own frame record at the instruction behind `before`, which are its instructions from its first on.
///
/// Context: any. Reads each once.
pub fn has_frame(before: impl IntoIterator<Item = u32>) -> bool {
    let mut has_prologue = false;
    let mut has_frame = false;
    for instruction in before.into_iter().take(MAX_INSTRUCTIONS) {
        if sets_frame_pointer(instruction) {
            (has_prologue, has_frame) = (true, true);
        } else if restores_frame_pointer(instruction) {
            has_frame = false;
        } else if ends_the_flow(instruction) {
            // What follows is reached from elsewhere: from the body, if there has been one.
            has_frame = has_prologue;
        }
    }
    has_frame
}

/// `add x29, sp, #imm`, of which `mov x29, sp` is one.
fn sets_frame_pointer(instruction: u32) -> bool {
    instruction & 0xffc0_03ff == 0x9100_03fd
}

/// `ldp x29, x30, [sp, #imm]`, or with the stack pointer raised by it.
fn restores_frame_pointer(instruction: u32) -> bool {
    matches!(instruction & 0xffc0_7fff, 0xa940_7bfd | 0xa8c0_7bfd)
}

/// `ret`, `b`, `br`, `brk`: the instruction behind it does not run next.
fn ends_the_flow(instruction: u32) -> bool {
    instruction == 0xd65f_03c0
        || instruction & 0xfc00_0000 == 0x1400_0000
        || instruction & 0xffff_fc1f == 0xd61f_0000
        || instruction & 0xffe0_001f == 0xd420_0000
}

#[cfg(test)]
mod tests {
    use super::has_frame;

    const STP: u32 = 0xa9bf_7bfd; // stp x29, x30, [sp, #-16]!
    const SUB_SP: u32 = 0xd100_83ff; // sub sp, sp, #32
    const STP_AT_16: u32 = 0xa901_7bfd; // stp x29, x30, [sp, #16]
    const MOV_FP: u32 = 0x9100_03fd; // mov x29, sp
    const ADD_FP: u32 = 0x9100_43fd; // add x29, sp, #16
    const ADD_X0: u32 = 0x9100_43e0; // add x0, sp, #16
    const NOP: u32 = 0xd503_201f;
    const CBZ: u32 = 0xb400_0080; // cbz x0, .+16
    const LDP: u32 = 0xa8c1_7bfd; // ldp x29, x30, [sp], #16
    const LDP_AT_16: u32 = 0xa941_7bfd; // ldp x29, x30, [sp, #16]
    const LDP_OTHERS: u32 = 0xa8c1_4ff4; // ldp x20, x19, [sp], #16
    const RET: u32 = 0xd65f_03c0;
    const TAIL_CALL: u32 = 0x1400_0040;
    const BRK: u32 = 0xd420_0020;

    /// The answers at each instruction of a function, first to last.
    fn answers(function: &[u32]) -> Vec<bool> {
        (0..function.len()).map(|at| has_frame(function[..at].iter().copied())).collect()
    }

    #[test]
    fn a_leaf_never_has_one() {
        assert_eq!(answers(&[NOP, ADD_X0, NOP, RET]), [false; 4]);
    }

    #[test]
    fn the_body_has_one_and_prologue_and_epilogue_do_not() {
        assert_eq!(answers(&[STP, MOV_FP, NOP, LDP, RET]), [false, false, true, true, false]);
        assert_eq!(answers(&[SUB_SP, STP_AT_16, ADD_FP, NOP, LDP_AT_16, LDP_OTHERS, RET]), [false, false, false, true, true, false, false]);
    }

    #[test]
    fn a_block_behind_the_first_return_has_one_again() {
        assert_eq!(answers(&[STP, MOV_FP, CBZ, LDP, RET, NOP, LDP, TAIL_CALL, NOP])[3..], [true, false, true, true, false, true]);
    }

    #[test]
    fn a_fast_path_before_the_prologue_has_none() {
        assert_eq!(answers(&[CBZ, NOP, RET, STP, MOV_FP, NOP, BRK, NOP]), [false, false, false, false, false, true, true, true]);
    }
}
