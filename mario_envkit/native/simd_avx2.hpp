// The loops of simd.hpp with AVX2. Built for every x86-64 machine, called only where the processor
// has it.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#define MARIO_TARGET __attribute__((target("avx2")))

namespace mario::simd::avx2 {

inline bool available() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

// Returns how many of the pixels it has done: all but the last 31 at most.
MARIO_TARGET inline int look_up(const std::uint8_t* slots, int count, const std::uint8_t* table,
                                std::uint8_t* out) {
  const __m256i low =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  const __m256i high =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16)));
  int i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m256i slot = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(slots + i));
    const __m256i in_low = _mm256_add_epi8(slot, _mm256_set1_epi8(0x70));
    const __m256i in_high = _mm256_sub_epi8(slot, _mm256_set1_epi8(0x10));
    const __m256i values = _mm256_or_si256(_mm256_shuffle_epi8(low, in_low),
                                           _mm256_shuffle_epi8(high, in_high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), values);
  }
  return i;
}

// `width` is a multiple of 32.
template <int kPairs>
MARIO_TARGET inline void weigh_row_pairs(const std::uint8_t* rows, std::size_t stride,
                                         const std::uint16_t* weights, int width,
                                         std::uint16_t* sums) {
  __m256i weight[kPairs];
  for (int k = 0; k < kPairs; ++k) {
    weight[k] = _mm256_set1_epi16(static_cast<short>(weights[2 * k] | weights[2 * k + 1] << 8));
  }
  for (int x = 0; x < width; x += 32) {
    __m256i low = _mm256_setzero_si256(), high = low;
    const std::uint8_t* at = rows + x;
    for (int k = 0; k < kPairs; ++k, at += 2 * stride) {
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + stride));
      low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), weight[k]));
      high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), weight[k]));
    }
    // Each half of these registers was unpacked by itself.
    const __m256i first = _mm256_permute2x128_si256(low, high, 0x20);
    const __m256i second = _mm256_permute2x128_si256(low, high, 0x31);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + x), first);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + x + 16), second);
  }
}

MARIO_TARGET inline __m128i two_at(const std::uint16_t* one, const std::uint16_t* other) {
  return _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(one)),
                            _mm_loadl_epi64(reinterpret_cast<const __m128i*>(other)));
}

// Four taps, eight targets at a time; returns how many targets it has done: all but the last 7 at
// most.
MARIO_TARGET inline int weigh_columns_by_eight(const std::uint16_t* sums, const int* first,
                                               const std::uint16_t* weights, int targets,
                                               std::uint32_t half, std::uint32_t reciprocal,
                                               int shift, std::uint8_t* out) {
  const __m256i halves = _mm256_set1_epi32(static_cast<int>(half));
  const __m256i factor = _mm256_set1_epi32(static_cast<int>(reciprocal));
  const __m128i count = _mm_cvtsi32_si128(shift);
  int p = 0;
  for (; p + 8 <= targets; p += 8, first += 8, weights += 32) {
    // Targets 0, 1 | 4, 5 and 2, 3 | 6, 7: so that the sums of pairs come out in order.
    const __m256i a = _mm256_inserti128_si256(
        _mm256_castsi128_si256(two_at(sums + first[0], sums + first[1])),
        two_at(sums + first[4], sums + first[5]), 1);
    const __m256i b = _mm256_inserti128_si256(
        _mm256_castsi128_si256(two_at(sums + first[2], sums + first[3])),
        two_at(sums + first[6], sums + first[7]), 1);
    const __m256i w0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
    const __m256i w1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + 16));
    const __m256i wa = _mm256_permute2x128_si256(w0, w1, 0x20);
    const __m256i wb = _mm256_permute2x128_si256(w0, w1, 0x31);
    const __m256i total = _mm256_add_epi32(
        halves, _mm256_hadd_epi32(_mm256_madd_epi16(a, wa), _mm256_madd_epi16(b, wb)));
    const __m256i even = _mm256_srl_epi64(_mm256_mul_epu32(total, factor), count);
    const __m256i odd =
        _mm256_srl_epi64(_mm256_mul_epu32(_mm256_srli_epi64(total, 32), factor), count);
    const __m256i words = _mm256_or_si256(even, _mm256_slli_epi64(odd, 32));
    const __m128i shorts = _mm_packs_epi32(_mm256_castsi256_si128(words),
                                           _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + p), _mm_packus_epi16(shorts, shorts));
  }
  return p;
}

}  // namespace mario::simd::avx2

#undef MARIO_TARGET
