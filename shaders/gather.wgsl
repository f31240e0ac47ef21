// The bytes that parked lanes' requests point at, one run a request, for the host to read.

//#include "abi.wgsl"

// `stride` is the number of lanes.
@group(0) @binding(0) var<uniform> params: BatchParams;
// Per request: lane, first limb of its memory, limbs, where they go. The host checks that all is inside.
@group(0) @binding(1) var<storage, read> requests: array<vec4<u32>>;
// Interleaved, [limb][lane].
@group(0) @binding(2) var<storage, read> memory: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<u32>;

// A workgroup a request.
@compute @workgroup_size(64)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let request = requests[group.x];
    for (var limb = invocation; limb < request.z; limb += 64u) {
        gathered[request.w + limb] = memory[(request.y + limb) * params.stride + request.x];
    }
}
