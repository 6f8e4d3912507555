// The three loops that observations spend their time in, with vector instructions where the build
// has them (SSSE3 and AVX2, NEON) and plain C++ elsewhere. Results are the same integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(MARIO_NO_SIMD)
// plain C++
#elif defined(__SSSE3__)
#include <tmmintrin.h>
#define MARIO_SSSE3 1
#if defined(__GNUC__)
#include "simd_avx2.hpp"
#define MARIO_AVX2 1
#endif
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define MARIO_NEON 1
#endif

namespace mario::simd {

// out[i] = table[slots[i]], slots being 0 to 31.
inline void look_up(const std::uint8_t* slots, int count, const std::uint8_t* table,
                    std::uint8_t* out) {
  int i = 0;
#if MARIO_AVX2
  if (avx2::available()) i = avx2::look_up(slots, count, table, out);
#endif
#if MARIO_SSSE3
  const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table + 16));
  for (; i + 16 <= count; i += 16) {
    const __m128i slot = _mm_loadu_si128(reinterpret_cast<const __m128i*>(slots + i));
    // pshufb gives 0 where bit 7 of the index is set, and ignores bits 4 to 6.
    const __m128i from_low = _mm_shuffle_epi8(low, _mm_add_epi8(slot, _mm_set1_epi8(0x70)));
    const __m128i from_high = _mm_shuffle_epi8(high, _mm_sub_epi8(slot, _mm_set1_epi8(0x10)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_or_si128(from_low, from_high));
  }
#elif MARIO_NEON
  const uint8x16x2_t both = {{vld1q_u8(table), vld1q_u8(table + 16)}};
  for (; i + 16 <= count; i += 16) vst1q_u8(out + i, vqtbl2q_u8(both, vld1q_u8(slots + i)));
#endif
  for (; i < count; ++i) out[i] = table[slots[i] & 31];
}

#if MARIO_SSSE3
// weigh_rows() for kPairs pairs of rows whose products fit 16 bits with sign.
template <int kPairs>
inline void weigh_row_pairs(const std::uint8_t* rows, std::size_t stride,
                            const std::uint16_t* weights, int width, std::uint16_t* sums) {
#if MARIO_AVX2
  if (width % 32 == 0 && avx2::available()) {
    return avx2::weigh_row_pairs<kPairs>(rows, stride, weights, width, sums);
  }
#endif
  __m128i weight[kPairs];
  for (int k = 0; k < kPairs; ++k) {
    weight[k] = _mm_set1_epi16(static_cast<short>(weights[2 * k] | weights[2 * k + 1] << 8));
  }
  for (int x = 0; x < width; x += 16) {
    __m128i low = _mm_setzero_si128(), high = low;
    const std::uint8_t* at = rows + x;
    for (int k = 0; k < kPairs; ++k, at += 2 * stride) {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + stride));
      low = _mm_add_epi16(low, _mm_maddubs_epi16(_mm_unpacklo_epi8(a, b), weight[k]));
      high = _mm_add_epi16(high, _mm_maddubs_epi16(_mm_unpackhi_epi8(a, b), weight[k]));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + x), low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + x + 8), high);
  }
}
#endif

// sums[x] = sum of weights[k] * rows[k * stride + x] over `taps` rows. `total`, what the weights
// sum to, is at most 240, so that sums fit; `width` is a multiple of 16.
inline void weigh_rows(const std::uint8_t* rows, std::size_t stride, const std::uint16_t* weights,
                       int taps, int total, int width, std::uint16_t* sums) {
#if MARIO_SSSE3
  if (total <= 128) {
    if (taps == 2) return weigh_row_pairs<1>(rows, stride, weights, width, sums);
    if (taps == 4) return weigh_row_pairs<2>(rows, stride, weights, width, sums);
    if (taps == 6) return weigh_row_pairs<3>(rows, stride, weights, width, sums);
    if (taps == 8) return weigh_row_pairs<4>(rows, stride, weights, width, sums);
  }
#endif
  (void)total;
  for (int x = 0; x < width; ++x) sums[x] = 0;
  for (int k = 0; k < taps; ++k) {
    const std::uint8_t* row = rows + static_cast<std::size_t>(k) * stride;
    const std::uint16_t weight = weights[k];
    for (int x = 0; x < width; ++x) sums[x] = static_cast<std::uint16_t>(sums[x] + weight * row[x]);
  }
}

// Division of sums by a constant, rounded half up: (sum + total / 2) * reciprocal >> shift.
struct Divisor {
  std::uint32_t half = 0, reciprocal = 0;
  int shift = 0;

  std::uint8_t of(std::uint32_t sum) const {
    return static_cast<std::uint8_t>((std::uint64_t{sum + half} * reciprocal) >> shift);
  }
};

#if MARIO_SSSE3
// weigh_columns() for sums below 2^15: four targets at a time, four taps of two targets at once.
template <int kTaps>
inline void weigh_columns_by_four(const std::uint16_t* sums, const int* first,
                                  const std::uint16_t* weights, int targets,
                                  const Divisor& divisor, std::uint8_t* out) {
  const __m128i reciprocal = _mm_set1_epi32(static_cast<int>(divisor.reciprocal));
  const auto load = [](const std::uint16_t* at) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
  };
  for (int p = 0; p < targets; p += 4, first += 4, weights += 4 * kTaps) {
    __m128i total = _mm_set1_epi32(static_cast<int>(divisor.half));
    for (int k = 0; k < kTaps; k += 4) {
      const auto products = [&](int target) {
        const std::uint16_t* w = weights + target * kTaps + k;
        const __m128i values = _mm_unpacklo_epi64(load(sums + first[target] + k),
                                                  load(sums + first[target + 1] + k));
        return _mm_madd_epi16(values, _mm_unpacklo_epi64(load(w), load(w + kTaps)));
      };
      total = _mm_add_epi32(total, _mm_hadd_epi32(products(0), products(2)));
    }
    const __m128i even = _mm_srli_epi64(_mm_mul_epu32(total, reciprocal), divisor.shift);
    const __m128i odd =
        _mm_srli_epi64(_mm_mul_epu32(_mm_srli_epi64(total, 32), reciprocal), divisor.shift);
    const __m128i words = _mm_or_si128(even, _mm_slli_epi64(odd, 32));
    const int four = _mm_cvtsi128_si32(_mm_packus_epi16(_mm_packs_epi32(words, words), words));
    std::memcpy(out + p, &four, p + 4 <= targets ? 4u : static_cast<std::size_t>(targets - p));
  }
}
#endif

// out[p] = weights of target p (`taps` of them) times sums[first[p] ...], divided. `small`: all
// sums are below 2^15. `first` and `weights` go on to a multiple of 4 targets.
inline void weigh_columns(const std::uint16_t* sums, const int* first,
                          const std::uint16_t* weights, int taps, int targets, bool small,
                          const Divisor& divisor, std::uint8_t* out) {
#if MARIO_SSSE3
#if MARIO_AVX2
  if (small && taps == 4 && avx2::available()) {
    const int done = avx2::weigh_columns_by_eight(sums, first, weights, targets, divisor.half,
                                                  divisor.reciprocal, divisor.shift, out);
    first += done;
    weights += done * 4;
    targets -= done;
    out += done;
  }
#endif
  if (small && taps == 4) {
    return weigh_columns_by_four<4>(sums, first, weights, targets, divisor, out);
  }
  if (small && taps == 8) {
    return weigh_columns_by_four<8>(sums, first, weights, targets, divisor, out);
  }
#endif
  (void)small;
  for (int p = 0; p < targets; ++p) {
    std::uint32_t sum = 0;
    for (int k = 0; k < taps; ++k) {
      sum += static_cast<std::uint32_t>(weights[p * taps + k]) * sums[first[p] + k];
    }
    out[p] = divisor.of(sum);
  }
}

}  // namespace mario::simd
