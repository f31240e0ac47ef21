// Generated from host/src/curve.rs, do not edit: secp256k1's numbers as words and limbs, least significant first.

const FE_P_MINUS_N_WORDS = array<u32, 8>(
    0x2fc9baeeu, 0x402da172u, 0x50b75fc4u, 0x45512319u, 0x00000001u, 0x00000000u, 0x00000000u, 0x00000000u);
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
const SC_N_WORDS = array<u32, 8>(
    0xd0364141u, 0xbfd25e8cu, 0xaf48a03bu, 0xbaaedce6u, 0xfffffffeu, 0xffffffffu, 0xffffffffu, 0xffffffffu);
const SC_HALF_N_WORDS = array<u32, 8>(
    0x681b20a0u, 0xdfe92f46u, 0x57a4501du, 0x5d576e73u, 0xffffffffu, 0xffffffffu, 0xffffffffu, 0x7fffffffu);
const SC_INV_STEPS: u32 = 48u;
const SC_INV_CHAIN = array<u32, 48>(
    0x3201u, 0x4201u, 0x103u, 0x201u, 0x107u, 0x10eu, 0x403u, 0x11fu, 0x13eu, 0x403u, 0x202u, 0x404u, 0x202u, 0x202u, 0x202u, 0x404u, 0x303u, 0x404u, 0x405u, 0x304u, 0x202u, 0x202u, 0x404u, 0x201u, 0x202u, 0x203u, 0x204u, 0x202u, 0x40au, 0x404u, 0x404u, 0x403u, 0x302u, 0x202u, 0x203u, 0x203u, 0x404u, 0x201u, 0x202u, 0x305u, 0x304u, 0x202u, 0x308u, 0x303u, 0x203u, 0x206u, 0x405u, 0x403u);

//#if U64
// 64 p with every limb in [1073679296, 1073741822].
const FE_MULTIPLE_0 = 1073679296u;
const FE_MULTIPLE_1 = 1073741310u;
const FE_MULTIPLE_2 = 1073741822u;
const FE_MULTIPLE_3 = 1073741822u;
const FE_MULTIPLE_4 = 1073741822u;
const FE_MULTIPLE_5 = 1073741822u;
const FE_MULTIPLE_6 = 1073741822u;
const FE_MULTIPLE_7 = 1073741822u;
const FE_MULTIPLE_8 = 1073741822u;
const FE_P_0 = 536869935u;
const FE_P_1 = 536870903u;
const FE_P_2 = 536870911u;
const FE_P_3 = 536870911u;
const FE_P_4 = 536870911u;
const FE_P_5 = 536870911u;
const FE_P_6 = 536870911u;
const FE_P_7 = 536870911u;
const FE_P_8 = 16777215u;
const FE_BETA = array<u32, 9>(
    294978030u, 164323651u, 492987760u, 9628197u, 55482831u, 63919642u, 474069393u, 91008896u, 8055146u);

// n, and -1 / n mod 2^29.
const SC_N_0 = 271991105lu;
const SC_N_1 = 512947302lu;
const SC_N_2 = 304615151lu;
const SC_N_3 = 498715998lu;
const SC_N_4 = 536865706lu;
const SC_N_5 = 536870911lu;
const SC_N_6 = 536870911lu;
const SC_N_7 = 536870911lu;
const SC_N_8 = 16777215lu;
const SC_N0INV: u32 = 361279807u;
const SC_N_LIMBS = array<u32, 9>(
    271991105u, 512947302u, 304615151u, 498715998u, 536865706u, 536870911u, 536870911u, 536870911u, 16777215u);

// 1 / 2 mod n.
const SC_HALF = array<u32, 9>(
    135995553u, 524909107u, 152307575u, 249357999u, 536868309u, 536870911u, 536870911u, 536870911u, 8388607u);
// (-1 - lambda) / 2 mod n.
const SC_SPLIT_OFFSET = array<u32, 9>(
    445202919u, 54468674u, 417806428u, 12188814u, 215819588u, 419388923u, 507426227u, 187955772u, 5656105u);
// (2^256 - 1) / 2 mod n, plus 2 n.
const SC_G_OFFSET_2N = array<u32, 9>(
    407986657u, 500985497u, 456922727u, 211203085u, 536863104u, 536870911u, 536870911u, 536870911u, 33554431u);
// round(2^377 b2 / n), round(2^377 (-b1) / n), and the lattice, negated mod 2^145 where sc_half subtracts.
const SC_G1 = array<u32, 9>(
    344700768u, 512307721u, 418669887u, 380250193u, 278749863u, 210822290u, 56520515u, 344484341u, 24845u);
const SC_G2 = array<u32, 9>(
    487950591u, 22485834u, 251298659u, 138945202u, 402430084u, 343910666u, 339821434u, 531988547u, 116870u);
const SC_MINUS_A1 = array<u32, 5>(
    226170091u, 479951067u, 182783109u, 308001968u, 536870135u);
const SC_MINUS_A2 = array<u32, 5>(
    45821992u, 32996243u, 121832042u, 190714030u, 536866483u);
const SC_MINUS_B1 = array<u32, 5>(
    180348099u, 446954824u, 60951067u, 117287938u, 3652u);
const SC_MINUS_B2 = array<u32, 5>(
    226170091u, 479951067u, 182783109u, 308001968u, 536870135u);

//#else
// 32 p with every limb in [9696, 16382].
const FE_MULTIPLE_0 = 9696u;
const FE_MULTIPLE_1 = 16379u;
const FE_MULTIPLE_2 = 14334u;
const FE_MULTIPLE_3 = 16382u;
const FE_MULTIPLE_4 = 16382u;
const FE_MULTIPLE_5 = 16382u;
const FE_MULTIPLE_6 = 16382u;
const FE_MULTIPLE_7 = 16382u;
const FE_MULTIPLE_8 = 16382u;
const FE_MULTIPLE_9 = 16382u;
const FE_MULTIPLE_10 = 16382u;
const FE_MULTIPLE_11 = 16382u;
const FE_MULTIPLE_12 = 16382u;
const FE_MULTIPLE_13 = 16382u;
const FE_MULTIPLE_14 = 16382u;
const FE_MULTIPLE_15 = 16382u;
const FE_MULTIPLE_16 = 16382u;
const FE_MULTIPLE_17 = 16382u;
const FE_MULTIPLE_18 = 16382u;
const FE_MULTIPLE_19 = 16382u;
const FE_P_0 = 7215u;
const FE_P_1 = 8191u;
const FE_P_2 = 8127u;
const FE_P_3 = 8191u;
const FE_P_4 = 8191u;
const FE_P_5 = 8191u;
const FE_P_6 = 8191u;
const FE_P_7 = 8191u;
const FE_P_8 = 8191u;
const FE_P_9 = 8191u;
const FE_P_10 = 8191u;
const FE_P_11 = 8191u;
const FE_P_12 = 8191u;
const FE_P_13 = 8191u;
const FE_P_14 = 8191u;
const FE_P_15 = 8191u;
const FE_P_16 = 8191u;
const FE_P_17 = 8191u;
const FE_P_18 = 8191u;
const FE_P_19 = 511u;
const FE_BETA = array<u32, 20>(
    494u, 3240u, 2588u, 4824u, 7187u, 1226u, 3030u, 3746u, 4169u, 3303u, 3386u, 6248u, 6634u, 4643u, 441u, 226u, 1404u, 4443u, 6746u, 245u);

// n, and -1 / n mod 2^13.
const SC_N_0 = 321u;
const SC_N_1 = 434u;
const SC_N_2 = 820u;
const SC_N_3 = 1213u;
const SC_N_4 = 7165u;
const SC_N_5 = 4125u;
const SC_N_6 = 7458u;
const SC_N_7 = 7381u;
const SC_N_8 = 3804u;
const SC_N_9 = 5589u;
const SC_N_10 = 8191u;
const SC_N_11 = 8191u;
const SC_N_12 = 8191u;
const SC_N_13 = 8191u;
const SC_N_14 = 8191u;
const SC_N_15 = 8191u;
const SC_N_16 = 8191u;
const SC_N_17 = 8191u;
const SC_N_18 = 8191u;
const SC_N_19 = 511u;
const SC_N0INV: u32 = 4415u;
const SC_N_LIMBS = array<u32, 20>(
    321u, 434u, 820u, 1213u, 7165u, 4125u, 7458u, 7381u, 3804u, 5589u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 511u);

// 1 / 2 mod n.
const SC_HALF = array<u32, 20>(
    161u, 217u, 4506u, 4702u, 7678u, 2062u, 7825u, 3690u, 5998u, 6890u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 255u);
// (-1 - lambda) / 2 mod n.
const SC_SPLIT_OFFSET = array<u32, 20>(
    487u, 5194u, 534u, 4040u, 5894u, 3696u, 7566u, 8136u, 92u, 4770u, 4980u, 6125u, 8171u, 5752u, 7861u, 7409u, 8145u, 2764u, 5002u, 172u);
// (2^256 - 1) / 2 mod n, plus 2 n.
const SC_G_OFFSET_2N = array<u32, 20>(
    481u, 651u, 5326u, 5915u, 6651u, 6188u, 7091u, 2880u, 1611u, 4288u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 8191u, 1023u);
// round(2^377 b2 / n), round(2^377 (-b1) / n), and the lattice, negated mod 2^143 where sc_half subtracts.
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
//#endif
