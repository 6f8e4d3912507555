// Many environments, stepped together by a team of threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "game_env.hpp"
#include "workers.hpp"

namespace mario {

// What an environment is to do next: begin at start number `what` with `value` no-ops, or
struct Order {
  static constexpr std::int32_t kStep = -1;  // press what press() reads for a step
  static constexpr std::int32_t kKeep = -2;  // nothing; its observation is written all the same
  static constexpr std::int32_t kSkip = -3;  // nothing at all

  std::int32_t what;
  std::int32_t value;

  // Of kStep: from the lowest bit the joypad byte, the one of the step before, and how many frames
  // still see that.
  Press press() const {
    return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8), value >> 16};
  }
};

// Columns of the results, in the order of the matrices' rows.
enum IntRow : int {
  kCoinsRow,
  kLifeRow,
  kScoreRow,
  kStageRow,
  kTimeRow,
  kWorldRow,
  kXRow,
  kYRow,
  kAreaRow,
  kFrameRow,
  kStagesClearedRow,
  kStatusRow,   // 0 small, 1 tall, 2 fireballs
  kCauseRow,    // DeathCause
  kEndingRow,   // Ending
  kTroubleRow,  // 0 none, -1 stuck, n > 0: a no-op ended the episode, n - 1 of them are left
  kIntRows,
};
enum FlagRow : int { kTerminatedRow, kTruncatedRow, kFlagGetRow, kDiedRow, kFlagRows };

// Memory of the caller's; each matrix has one column for each environment.
struct PoolBuffers {
  Order* orders = nullptr;
  std::int64_t* ints = nullptr;    // (kIntRows, N)
  std::uint8_t* flags = nullptr;   // (kFlagRows, N)
  double* doubles = nullptr;       // (1 + terms, N): reward, then the parts
  GameState* history = nullptr;    // (N, history_rows); nullptr if nobody wants it
  std::int32_t* history_used = nullptr;  // (N,)
  int history_rows = 0;
};

// What somebody wants to hear of: outcomes that have a flag set, or a number outside its range.
struct Ranges {
  const std::int64_t* low = nullptr;     // (kIntRows, N); nullptr: nothing
  const std::uint64_t* width = nullptr;  // (kIntRows, N): up to and including low + width is inside
  std::uint8_t* outside = nullptr;       // (N,): set or cleared with every outcome
};

// Used by one thread at a time (see SharedPool). Random numbers and the choice of levels are the
// caller's.
class EnvPool {
 public:
  virtual ~EnvPool() = default;

  // `core`: the name of a timing. Throws std::invalid_argument if there is no such timing, or for
  // an impossible observation.
  static std::unique_ptr<EnvPool> make(const std::string& core,
                                       std::shared_ptr<const Cartridge> cartridge,
                                       const EnvSpec& spec, int num_envs, int num_threads,
                                       const PoolBuffers& buffers);

  // Returns the number of the new start. Not while work is under way.
  int add_start(const Start& start);

  // Other amounts for the terms that there are, from the next step on; throws
  // std::invalid_argument for other terms. Not while work is under way.
  void set_reward(const RewardSpec& reward);

  // Carries out the orders; results go to the buffers, stacked observations to `observations`
  // (N of them). start() returns at once, and wait() must follow; run() is both, and works in the
  // calling thread too. Returned: how many environments have kTroubleRow set.
  void start(std::uint8_t* observations);
  int wait();
  int run(std::uint8_t* observations);

  // Until the work that start() began is done; wait() must follow all the same.
  void rest() { workers_.rest(); }

  void watch(const Ranges& ranges) { ranges_ = ranges; }

  // Writes 240 * 256 * 3 bytes: the picture of one environment as RGB.
  virtual void screen(int env, std::uint8_t* out) = 0;

  // One environment as a value, while no work is under way. The stack of a SavedEnv is laid out
  // with the oldest observation first. load() takes what save() gave, of this plan; if that has no
  // stack, show() must put one back before the next step.
  virtual void save(int env, SavedEnv& out) const = 0;
  virtual void load(int env, const SavedEnv& saved) = 0;
  virtual void show(int env, const std::uint8_t* stack) = 0;
  virtual const std::uint8_t* ram(int env) const = 0;
  std::size_t reward_terms() const { return plan_.spec.reward.terms.size(); }

  int num_envs() const { return num_envs_; }
  std::size_t observation_bytes() const {  // of one environment, stacked
    return plan_.observation_size * static_cast<std::size_t>(plan_.spec.frame_stack);
  }

 protected:
  EnvPool(const EnvSpec& spec, int num_envs, int num_threads, const PoolBuffers& buffers);

  virtual void work(int env, int worker) = 0;

  void check_orders() const;
  void write_outcome(int env, const Outcome& outcome, const std::vector<double>& parts);
  bool is_outside(int env) const;
  History history_of(int env);
  std::uint8_t* scratch(int worker) {
    return scratch_.data() + static_cast<std::size_t>(worker) * plan_.observation_size;
  }

  EnvPlan plan_;
  int num_envs_;
  PoolBuffers buffers_;
  Ranges ranges_;
  std::vector<Start> starts_;
  std::vector<std::uint8_t> stacks_;
  std::vector<std::uint8_t> scratch_;
  std::uint8_t* observations_ = nullptr;
  std::atomic<int> troubled_{0};
  Workers workers_;
};

}  // namespace mario
