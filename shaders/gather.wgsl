// Parts of lanes' interleaved buffers, one run of words a request, for the host to read.

//#include "abi.wgsl"

// `stride` is the number of lanes, `width` the words that a lane has in each row.
@group(0) @binding(0) var<uniform> params: BatchParams;
// Per request: lane, first word of the lane's, words, where they go. The host checks that all is inside.
@group(0) @binding(1) var<storage, read> requests: array<vec4<u32>>;
// [row][lane][word of the row].
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<u32>;

// A workgroup a request.
@compute @workgroup_size(64)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let request = requests[group.x];
    for (var word = invocation; word < request.z; word += 64u) {
        let at = request.y + word;
        let row = at / params.width;
        gathered[request.w + word] = rows[(row * params.stride + request.x) * params.width + at - row * params.width];
    }
}
