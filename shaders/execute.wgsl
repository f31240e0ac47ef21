// The EVM, one lane a transaction: runs contract code from Berlin to Osaka, calls and creations included, in bounded
// slices.
//
// Opcodes that need nothing but code, stack and registers run in a loop of their own, with the top of the stack in a
// register. Any other is a step: a fixed sequence of stages (operands, decide, expand memory, touch state, hash and copy,
// load bytes, charge, call, store) rather than an arm for each opcode, so that what touches a storage buffer in a loop
// is inlined once, and neighbours that run different opcodes share the stages. The decide stage only fills in requests.
//
// Nothing of a step is visible before its end but overlay entries and memory, which a halt discards; so the gas of a
// step is charged once. A step that lacks a key parks the lane as if it had not begun, and runs again; one that asks for
// more (CREATE, RETURN of new code, ecrecover) is done, parks, and another step goes on with the answer.
//
// A frame that ends leaves its status to the top of the loop, which undoes a failed call and lets the caller resume.
//
// Every cap ends the lane with FALLBACK_* before anything wrong can be observed. Specification: the Yellow Paper and
// EIPs 145, 150, 161, 170, 211, 214, 684, 1014, 1052, 1153, 1344, 1884, 2200, 2681, 2929, 3198, 3529, 3541, 3651, 3855,
// 3860, 4399, 4844, 5656, 6780, 7516, 7702, 7939.

//#include "lane.wgsl"
//#include "frame.wgsl"
//#include "coverage.wgsl"

@compute @workgroup_size(32)
fn execute(@builtin(global_invocation_id) id: vec3<u32>) {
    let place = params.first + id.x;
    if (place >= params.listed) {
        return;
    }
    let lane = batch[place];
    let n = params.lanes;
    let r0 = lanes[lane];
    var status = r0.x;
    if (status != STATUS_RUNNING) {
        return;
    }
    let r1 = lanes[n + lane];
    let r2 = lanes[2u * n + lane];
    let r3 = lanes[3u * n + lane];
    var pc = r0.y;
    var sp = r0.z;
    var entries = r0.w;
    var gas_lo = r1.x;
    var gas_hi = r1.y;
    var refund = r1.z;
    var memory_words = r1.w;
    var logs = r2.x;
    var log_limbs = r2.y;
    var output_offset = r2.z;
    // Also the length of the return data, since one ends where the other begins.
    var output_len = r2.w;
    var steps = r3.x;
    var depth = r3.y;
    var journal = r3.z;

    let tx = params.tx_base + lane * TX_WORDS;
    let block = batch[tx + TX_BLOCK];
    let state = batch[tx + TX_STATE];
    let state_under = batch[tx + TX_BASE];
    let return_start = 4u * (params.memory_limbs + params.log_limbs);
    var frame: Frame;
    var load_frame = true;
    // What happens before the next opcode, and after that; a slice does not end in between, but a lane may park.
    var resume = r3.w;
    var next_op = resume & 0xfffu;
    var then_op = (resume >> 12u) & 0xfffu;
    // The running call resolves a delegation (EIP-7702): its step is run again, for the delegate.
    var delegated = (resume & RESUME_DELEGATED) != 0u;
    // The delegate; or the account to be created, and where its code or init code is.
    let request = lanes[LANE_ROW_REQUEST * n + lane];
    let request_rest = lanes[(LANE_ROW_REQUEST + 1u) * n + lane];
    var delegate0 = request.y;
    var delegate_rest = vec4<u32>(request.zw, request_rest.xy);
    let answer = request_rest.w;
    resume = 0u;
    // The top of the stack where `cached`; its place in the buffer is stale then.
    var top = u256_zero();
    var cached = false;
    // Of the call or creation that has returned: what it pushes, and where its output goes.
    var result = u256_zero();
    var out_offset = 0u;
    var out_len = 0u;

    let first_step = steps;
    // Steps of this slice, long ones counted by what they do: a dispatch must end soon whatever runs in it.
    var work = 0u;
    loop {
        if (status != STATUS_RUNNING) {
            if (depth == 0u || status >= STATUS_FALLBACK) {
                break;
            }
            // A call has returned: what it did stands, or is undone.
            depth -= 1u;
            let kept = frame_resume(depth, lane);
            let succeeded = status < STATUS_REVERT;
            result = u256_from_u32(select(0u, 1u, succeeded));
            if ((frame.mode & MODE_INIT) != 0u) {
                if (succeeded) { result = word_image(U256(vec4<u32>(0u, 0u, 0u, frame.address0), frame.address_rest)); }
                // Only what reverts returns data to a creator.
                if (status != STATUS_REVERT) { output_len = 0u; }
            }
            if (!succeeded) {
                work += journal - kept.journal;
                journal_revert(kept.journal, journal, lane);
                logs = kept.logs;
                log_limbs = kept.log_limbs;
                refund = kept.refund;
            }
            // The outermost frame has nobody to undo it.
            if (!succeeded || depth == 0u) { journal = kept.journal; }
            if (status >= STATUS_OUT_OF_GAS) {
                gas_lo = 0u;
                gas_hi = 0u;
                output_len = 0u;
            }
            gas_lo += kept.gas_lo;
            gas_hi += kept.gas_hi + select(0u, 1u, gas_lo < kept.gas_lo);
            pc = kept.pc;
            sp = kept.sp;
            memory_words = kept.memory_words;
            out_offset = kept.out_offset;
            out_len = kept.out_len;
            status = STATUS_RUNNING;
            cached = false;
            delegated = false;
            then_op = 0u;
            next_op = OP_RESUME;
            load_frame = true;
        } else if (work >= params.slice_steps && next_op == 0u && !delegated) {
            break;
        }
        if (load_frame) {
            frame = frame_load(depth, lane);
            load_frame = false;
        }
        // What runs: the step that was asked for, or the first opcode that the run of quick ones ends at.
        var op = next_op;
        // A result of OP_RESUME alone; the heir is an operand, which stays on the stack.
        var row1 = select(0u, ROW_RESULT, op == OP_RESUME);
        var row0 = CLASS_PLAIN | (0x80000u + row1);
        if (op == OP_BEQUEST) { row1 = READS_A; }
        var next_pc = pc;
        var found = next_op != 0u;
        next_op = 0u;
        if (!found) {
            //#include "stage_quick.wgsl"
            next_pc = pc + 1u;
        }
        if (!found) {
            continue;
        }
        if (steps >= params.max_steps) {
            status = FALLBACK_STEPS;
            continue;
        }
        steps += 1u;
        work += 1u;
        let class_ = row0 & 0xffu;
        let need = (row0 >> 8u) & 0xffu;
        let arg = row0 >> 24u;
        let new_sp = sp + ((row0 >> 16u) & 0xffu) - 8u;
        // What ends the frame before anything else: the last of these lines that applies.
        var halt = STATUS_RUNNING;
        // EIP-214; the value of a CALL is checked with its operands.
        let writes = class_ == CLASS_LOG || class_ == CLASS_CREATE || op == OP_SSTORE || op == OP_TSTORE
            || op == OP_SELFDESTRUCT;
        if ((frame.mode & MODE_STATIC) != 0u && writes) { halt = STATUS_STATIC; }
        if (new_sp > params.stack_words) { halt = FALLBACK_STACK; }
        if (sp - frame.stack_base < need || new_sp - frame.stack_base > 1024u) { halt = STATUS_STACK; }
        if (class_ == CLASS_UNDEFINED) { halt = STATUS_INVALID_OPCODE; }
        if (halt != STATUS_RUNNING) {
            status = halt;
            continue;
        }

        // Operands: the top three.
        var a = top;
        var b = u256_zero();
        var c = u256_zero();
        if ((row1 & READS_A) != 0u && !cached) { a = stack_load(sp - 1u, lane); }
        if ((row1 & READS_B) != 0u) { b = stack_load(sp - 2u, lane); }
        if ((row1 & READS_C) != 0u) { c = stack_load(sp - 3u, lane); }
        // As 32 bits; what does not fit is beyond any offset or length that a cap allows.
        let near_a = u256_saturate(a);
        let near_b = u256_saturate(b);
        let near_c = u256_saturate(c);

        var cost = row1 & 0xffffu;
        var r = u256_zero();

        // Requests to the stages below.
        var load_source = SOURCE_NONE;
        var load_base = 0u;
        var load_limit = 0u;
        var load_offset = 0u;
        var load_len = 32u;
        var expand_offset = 0u;
        var expand_len = 0u;
        var out_from = 0u;
        var out_most = 0u;
        // Copies start at byte `copy_start` plus `copy_from`, and go to byte `copy_to` of the lane's memory.
        var copy_source = SOURCE_NONE;
        var copy_base = 0u;
        var copy_limit = FAR;
        var copy_start = 0u;
        var copy_from = 0u;
        var copy_to = a.lo.x + frame.memory_base;
        var copy_len = 0u;
        var copy_word = b;
        var copy_gas = 0u;
        var kind = 0u;
        let has_value = need == 7u && class_ == CLASS_CALL && !u256_is_zero(c);
        var deploys = false;

        // What a call or creation goes on with.
        var precompile = false;
        // The step that runs the precompile, where this kernel has it.
        var precompile_op = 0u;
        var touched = false;
        var delegates = false;
        var callee_created = false;
        var callee_code = vec4<u32>();
        // A creator lacks the value or a nonce that can be raised.
        var refused = false;
        var nonce = vec2<u32>();
        var salt = u256_zero();

        //#include "stage_decide.wgsl"

        // Expand memory. After this stage every length is within the lane's memory, or zero.
        let words = max(words_to(expand_offset, expand_len), words_to(out_from, out_most));
        let held = memory_words;
        if (words > held) {
            // 3w + w²/512 fits 32 bits up to w = 65535; beyond that it exceeds the cost there.
            let w = min(words, 0xffffu);
            let price = (3u * w + (w * w >> 9u)) - (3u * held + (held * held >> 9u));
            if (gas_hi == 0u && gas_lo < price) {
                status = STATUS_OUT_OF_GAS;
                continue;
            }
            if (words > (params.memory_limbs - (frame.memory_base >> 2u)) >> 3u) {
                status = FALLBACK_MEMORY;
                continue;
            }
            // What earlier frames and batches left there.
            let base = frame.memory_base >> 2u;
            for (var limb = base + 8u * held; limb < base + 8u * words; limb++) {
                memory[limb * n + lane] = 0u;
            }
            cost += price;
            work += (words - held) >> 2u;
            memory_words = words;
        }
        if (copy_gas != 0u) {
            cost += select((copy_len + 31u) >> 5u, copy_len, class_ == CLASS_LOG) * copy_gas;
        }
        let precompiled = op == OP_IDENTITY || op == OP_SHA256 || op == OP_RECOVERED;
        if (op == OP_RETURN || op == OP_REVERT || precompiled) {
            if (depth == 0u) { output_offset = a.lo.x; }
            output_len = b.lo.x;
            copy_to = return_start;
            if (precompiled) {
                output_len = select(32u, frame.input_len, op == OP_IDENTITY);
                if (op == OP_RECOVERED) { output_len = answer; }
                // The outermost frame's output stands in its memory.
                output_offset = 0u;
                if (depth == 0u) { copy_to = 0u; }
            }
            let room = select(params.return_limbs, params.memory_limbs, depth == 0u);
            if (copy_source != SOURCE_NONE && output_len > 4u * room) {
                status = FALLBACK_MEMORY;
                continue;
            }
        }
        work += max(expand_len, copy_len) >> 6u;
        if (kind != 0u) { work += entries >> 3u; }
        if (op == OP_KECCAK256) { work += 4u + (b.lo.x >> 5u); }
        if (op == OP_SHA256) { work += 4u + (frame.input_len >> 5u); }

        //#include "stage_touch.wgsl"

        if (op == OP_KECCAK256) {
            r = keccak_memory(frame.memory_base + a.lo.x, b.lo.x, lane);
        }
        if (op == OP_SHA256) {
            r = sha256_bytes(copy_source, copy_base, copy_start, frame.input_len, lane);
        }
        if (op == OP_SHA256 || op == OP_RECOVERED) {
            copy_word = r;
            copy_source = SOURCE_WORD;
            copy_start = 0u;
            copy_limit = 32u;
            copy_len = output_len;
        }

        // Copy into memory, or into the log data or return data behind it.
        if (class_ == CLASS_LOG) {
            let limbs = (copy_len + 3u) >> 2u;
            if (logs >= params.logs || log_limbs + limbs > params.log_limbs) {
                status = FALLBACK_LOGS;
                continue;
            }
            let at = (params.slots * ENTRY_ROWS + logs * LOG_ROWS) * n + lane;
            overlay[at] = vec4<u32>(arg, log_limbs, copy_len, frame.address0);
            overlay[at + n] = frame.address_rest;
            for (var i = 0u; i < arg; i++) {
                let topic = stack_load(sp - 3u - i, lane);
                overlay[at + (2u * i + 2u) * n] = topic.lo;
                overlay[at + (2u * i + 3u) * n] = topic.hi;
            }
            copy_to = (params.memory_limbs + log_limbs) * 4u;
            logs += 1u;
            log_limbs += limbs;
        }
        if (copy_source != SOURCE_NONE && copy_len != 0u && status != STATUS_RETURN_DATA) {
            let begin = copy_start + min(copy_from, FAR);
            copy_bytes(copy_source, copy_base, copy_limit, begin, copy_to, copy_len, lane, word_image(copy_word));
        }

        // Load up to 32 bytes, big-endian, right-aligned.
        if (load_source != SOURCE_NONE) {
            r = load_bytes(load_source, load_base, load_limit, load_offset, load_len, lane);
            if (deploys && r.lo.x == 0xefu) {
                // EIP-3541. Before, revm takes such code for a delegation from the next transaction on, not in this one.
                status = select(FALLBACK_CREATE, STATUS_CREATE, (params.rules & RULE_LONDON) != 0u);
                continue;
            }
        }

        // Charge.
        if (gas_hi == 0u && gas_lo < cost) {
            status = STATUS_OUT_OF_GAS;
            continue;
        }
        gas_hi -= select(0u, 1u, gas_lo < cost);
        gas_lo -= cost;

        //#include "stage_call.wgsl"

        // Store the result; what was the top goes to its place under it.
        if (cached && new_sp > sp) { stack_store(sp - 1u, top, lane); }
        cached = cached && new_sp == sp;
        if ((row1 & ROW_RESULT) != 0u) {
            top = r;
            cached = true;
        }
        sp = new_sp;
        pc = next_pc;
    }

    if (cached) { stack_store(sp - 1u, top, lane); }
    if (status >= STATUS_OUT_OF_GAS && status < STATUS_RUNNING) { output_len = 0u; }
    lanes[lane] = vec4<u32>(status, pc, sp, entries);
    lanes[n + lane] = vec4<u32>(gas_lo, gas_hi, refund, memory_words);
    lanes[2u * n + lane] = vec4<u32>(logs, log_limbs, output_offset, output_len);
    lanes[3u * n + lane] = vec4<u32>(steps, depth, journal, resume);
    if (status >= STATUS_RUNNING) {
        atomicAdd(&counters[2u * (status - STATUS_RUNNING)], 1u);
    } else if (status >= STATUS_FALLBACK) {
        atomicAdd(&counters[4], 1u);
    }
    atomicAdd(&counters[1], steps - first_step);
    atomicAdd(&counters[3], work);
}
