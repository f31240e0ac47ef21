// Generated from host/src/curve.rs, do not edit: secp256k1's numbers as limbs and words, least significant first.

// 32 p with every limb in [9696, 16382].
const FE_32P_0: u32 = 9696u;
const FE_32P_1: u32 = 16379u;
const FE_32P_2: u32 = 14334u;
const FE_32P_3: u32 = 16382u;
const FE_32P_4: u32 = 16382u;
const FE_32P_5: u32 = 16382u;
const FE_32P_6: u32 = 16382u;
const FE_32P_7: u32 = 16382u;
const FE_32P_8: u32 = 16382u;
const FE_32P_9: u32 = 16382u;
const FE_32P_10: u32 = 16382u;
const FE_32P_11: u32 = 16382u;
const FE_32P_12: u32 = 16382u;
const FE_32P_13: u32 = 16382u;
const FE_32P_14: u32 = 16382u;
const FE_32P_15: u32 = 16382u;
const FE_32P_16: u32 = 16382u;
const FE_32P_17: u32 = 16382u;
const FE_32P_18: u32 = 16382u;
const FE_32P_19: u32 = 16382u;
const FE_P_MINUS_N_WORDS = array<u32, 8>(
    0x2fc9baeeu, 0x402da172u, 0x50b75fc4u, 0x45512319u, 0x00000001u, 0x00000000u, 0x00000000u, 0x00000000u);
const FE_BETA = array<u32, 20>(
    494u, 3240u, 2588u, 4824u, 7187u, 1226u, 3030u, 3746u, 4169u, 3303u, 3386u, 6248u, 6634u, 4643u, 441u, 226u, 1404u, 4443u, 6746u, 245u);
const FE_SQRT_STEPS: u32 = 14u;
const FE_SQRT_CHAIN = array<u32, 14>(
    0x3201u, 0x4201u, 0x103u, 0x403u, 0x302u, 0x510bu, 0x6116u, 0x12cu, 0x158u, 0x62cu, 0x403u, 0x517u, 0x306u, 0x2u);
const FE_INV_STEPS: u32 = 15u;
const FE_INV_CHAIN = array<u32, 15>(
    0x3201u, 0x4201u, 0x103u, 0x403u, 0x302u, 0x510bu, 0x6116u, 0x12cu, 0x158u, 0x62cu, 0x403u, 0x517u, 0x205u, 0x303u, 0x202u);
const GE_G_X_WORDS = array<u32, 8>(
    0x16f81798u, 0x59f2815bu, 0x2dce28d9u, 0x029bfcdbu, 0xce870b07u, 0x55a06295u, 0xf9dcbbacu, 0x79be667eu);
const GE_G_Y_WORDS = array<u32, 8>(
    0xfb10d4b8u, 0x9c47d08fu, 0xa6855419u, 0xfd17b448u, 0x0e1108a8u, 0x5da4fbfcu, 0x26a3c465u, 0x483ada77u);

// n, and -1 / n mod 2^13.
const SC_N_0: u32 = 321u;
const SC_N_1: u32 = 434u;
const SC_N_2: u32 = 820u;
const SC_N_3: u32 = 1213u;
const SC_N_4: u32 = 7165u;
const SC_N_5: u32 = 4125u;
const SC_N_6: u32 = 7458u;
const SC_N_7: u32 = 7381u;
const SC_N_8: u32 = 3804u;
const SC_N_9: u32 = 5589u;
const SC_N_10: u32 = 8191u;
const SC_N_11: u32 = 8191u;
const SC_N_12: u32 = 8191u;
const SC_N_13: u32 = 8191u;
const SC_N_14: u32 = 8191u;
const SC_N_15: u32 = 8191u;
const SC_N_16: u32 = 8191u;
const SC_N_17: u32 = 8191u;
const SC_N_18: u32 = 8191u;
const SC_N_19: u32 = 511u;
const SC_N0INV: u32 = 4415u;
const SC_N_LIMBS = array<u32, 20>(
    321u, 434u, 820u, 1213u, 7165u, 4125u, 7458u, 7381u, 3804u, 5589u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 511u);
const SC_N_WORDS = array<u32, 8>(
    0xd0364141u, 0xbfd25e8cu, 0xaf48a03bu, 0xbaaedce6u, 0xfffffffeu, 0xffffffffu, 0xffffffffu, 0xffffffffu);
const SC_HALF_N_WORDS = array<u32, 8>(
    0x681b20a0u, 0xdfe92f46u, 0x57a4501du, 0x5d576e73u, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0x7fffffffu);
const SC_INV_STEPS: u32 = 48u;
const SC_INV_CHAIN = array<u32, 48>(
    0x3201u, 0x4201u, 0x103u, 0x201u, 0x107u, 0x10eu, 0x403u, 0x11fu, 0x13eu, 0x403u, 0x202u, 0x404u, 0x202u, 0x202u, 0x202u, 0x404u, 0x303u, 0x404u, 0x405u, 0x304u, 0x202u, 0x202u, 0x404u, 0x201u, 0x202u, 0x203u, 0x204u, 0x202u, 0x40au, 0x404u, 0x404u, 0x403u, 0x302u, 0x202u, 0x203u, 0x203u, 0x404u, 0x201u, 0x202u, 0x305u, 0x304u, 0x202u, 0x308u, 0x303u, 0x203u, 0x206u, 0x405u, 0x403u);

// 2 * 2^520 mod n.
const SC_TWO_MONT2 = array<u32, 20>(
    5702u, 2227u, 1555u, 6240u, 6429u, 5092u, 2929u, 1343u, 4753u, 6517u, 925u, 5151u, 2937u, 5604u, 5311u, 4473u, 3383u, 6172u, 3690u, 412u);
// (-1 - lambda) / 2 mod n.
const SC_SPLIT_OFFSET = array<u32, 20>(
    487u, 5194u, 534u, 4040u, 5894u, 3696u, 7566u, 8136u, 92u, 4770u, 4980u, 6125u, 8171u, 5752u, 7861u, 7409u, 8145u, 2764u, 5002u, 172u);
// (2^256 - 1) / 2 mod n, plus 2 n.
const SC_G_OFFSET_2N = array<u32, 20>(
    481u, 651u, 5326u, 5915u, 6651u, 6188u, 7091u, 2880u, 1611u, 4288u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 1023u);
// round(2^377 b2 / n), round(2^377 (-b1) / n), and the lattice negated mod 2^143.
const SC_G1 = array<u32, 20>(
    5984u, 1117u, 4173u, 588u, 4093u, 2250u, 911u, 645u, 6997u, 4435u, 629u, 4682u, 4636u, 2156u, 7791u, 5402u, 847u, 3362u, 6211u, 0u);
const SC_G2 = array<u32, 20>(
    2303u, 2220u, 6743u, 5574u, 6338u, 5382u, 1263u, 555u, 1060u, 3138u, 8178u, 1066u, 4085u, 3924u, 323u, 930u, 3074u, 6125u, 4641u, 3u);
const SC_MINUS_A1 = array<u32, 11>(
    5355u, 3032u, 1755u, 1758u, 377u, 2585u, 174u, 7115u, 6445u, 7803u, 8191u);
const SC_MINUS_A2 = array<u32, 11>(
    4136u, 5593u, 7320u, 7646u, 6787u, 1540u, 7284u, 266u, 5551u, 5977u, 8191u);
const SC_MINUS_B1 = array<u32, 11>(
    1219u, 5631u, 2626u, 2303u, 1781u, 1044u, 1082u, 6848u, 894u, 1826u, 0u);
const SC_MINUS_B2 = array<u32, 11>(
    5355u, 3032u, 1755u, 1758u, 377u, 2585u, 174u, 7115u, 6445u, 7803u, 8191u);
