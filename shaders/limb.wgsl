// Multi-limb products and packing shared by the field (fe.wgsl) and the scalars (sc.wgsl), in two variants.
//
// Limbs has what a 256-bit value needs, and Columns what a product of two needs; how many bits a limb has is the variant's.
// limb_mul and limb_sqr give raw columns, limb_from_words and limb_to_words convert. Everything is unrolled with constant
// indices: an array that is indexed at run time lives in scratch memory on every driver.

// 256 bits, least significant first.
alias Words = array<u32, 8>;

//#if U64
//#include "limb_u64.wgsl"
//#else
//#include "limb_u32.wgsl"
//#endif
