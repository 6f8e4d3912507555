#include "env_pool.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace mario {

namespace {

template <class Timing>
class TimedPool final : public EnvPool {
 public:
  TimedPool(std::shared_ptr<const Cartridge> cartridge, const EnvSpec& spec, int num_envs,
            int num_threads, const PoolBuffers& buffers)
      : EnvPool(spec, num_envs, num_threads, buffers), whole_screen_(ObservationSpec{}) {
    for (int i = 0; i < num_envs; ++i) {
      std::uint8_t* stack = stacks_.data() + static_cast<std::size_t>(i) * observation_bytes();
      envs_.push_back(std::make_unique<GameEnv<Timing>>(cartridge, plan_, stack));
    }
  }

  ~TimedPool() override { workers_.stop(); }  // before what they work on goes away

  void screen(int env, std::uint8_t* out) override {
    whole_screen_.observe(envs_.at(static_cast<std::size_t>(env))->machine().picture(), out);
  }

  void save(int env, SavedEnv& out) const override {
    const GameEnv<Timing>& game = *envs_.at(static_cast<std::size_t>(env));
    game.save(out);
    game.copy_stack(out.stack.data());
    out.progress.newest = plan_.spec.frame_stack - 1;
  }

  void load(int env, const SavedEnv& saved) override {
    envs_.at(static_cast<std::size_t>(env))->load(saved);
  }

  void show(int env, const std::uint8_t* stack) override {
    envs_.at(static_cast<std::size_t>(env))->show(stack);
  }

  const std::uint8_t* ram(int env) const override {
    return envs_.at(static_cast<std::size_t>(env))->machine().ram();
  }

 private:
  void work(int index, int worker) override {
    const Order order = buffers_.orders[index];
    if (order.what == Order::kSkip) return;
    GameEnv<Timing>& env = *envs_[static_cast<std::size_t>(index)];
    if (order.what != Order::kKeep) obey(index, env, order, worker);
    env.copy_stack(observations_ + static_cast<std::size_t>(index) * observation_bytes());
  }

  void obey(int index, GameEnv<Timing>& env, const Order& order, int worker) {
    History history = history_of(index);
    std::int64_t trouble = 0;
    try {
      if (order.what == Order::kStep) {
        env.step(order.press(), scratch(worker), history);
      } else {
        trouble = env.reset(starts_[static_cast<std::size_t>(order.what)], order.value, history) + 1;
      }
    } catch (const GameStuck&) {
      trouble = -1;
    }
    if (trouble) ++troubled_;
    write_outcome(index, env.outcome(), env.parts());
    buffers_.ints[kTroubleRow * num_envs_ + index] = trouble;
    if (buffers_.history) buffers_.history_used[index] = history.used;
  }

  Observer whole_screen_;
  std::vector<std::unique_ptr<GameEnv<Timing>>> envs_;
};

}  // namespace

std::unique_ptr<EnvPool> EnvPool::make(const std::string& core,
                                       std::shared_ptr<const Cartridge> cartridge,
                                       const EnvSpec& spec, int num_envs, int num_threads,
                                       const PoolBuffers& buffers) {
  if (num_envs < 1 || num_threads < 1 || spec.frame_skip < 1 || spec.frame_stack < 1) {
    throw std::invalid_argument("environments, threads, frame skip and stack must be 1 or more");
  }
  if (core == ConsoleTiming::kCore) {
    return std::make_unique<TimedPool<ConsoleTiming>>(std::move(cartridge), spec, num_envs,
                                                      num_threads, buffers);
  }
  if (core == NesPyTiming::kCore) {
    return std::make_unique<TimedPool<NesPyTiming>>(std::move(cartridge), spec, num_envs,
                                                    num_threads, buffers);
  }
  throw std::invalid_argument("there is no core " + core);
}

EnvPool::EnvPool(const EnvSpec& spec, int num_envs, int num_threads, const PoolBuffers& buffers)
    : plan_(spec),
      num_envs_(num_envs),
      buffers_(buffers),
      stacks_(static_cast<std::size_t>(num_envs) * observation_bytes()),
      scratch_(static_cast<std::size_t>(num_threads) * plan_.observation_size),
      workers_(num_threads) {}

int EnvPool::add_start(const Start& start) {
  starts_.push_back(start);
  return static_cast<int>(starts_.size()) - 1;
}

void EnvPool::set_reward(const RewardSpec& reward) {
  const auto same = [](const RewardTerm& ours, const RewardTerm& theirs) {
    return ours.kind == theirs.kind && ours.option == theirs.option;
  };
  const std::vector<RewardTerm>& ours = plan_.spec.reward.terms;
  if (!std::equal(ours.begin(), ours.end(), reward.terms.begin(), reward.terms.end(), same)) {
    throw std::invalid_argument("a reward has other terms than the one before");
  }
  plan_.spec.reward = reward;
}

void EnvPool::check_orders() const {
  const int starts = static_cast<int>(starts_.size());
  for (int i = 0; i < num_envs_; ++i) {
    const Order& order = buffers_.orders[i];
    if (order.what < Order::kSkip || order.what >= starts) {
      throw std::invalid_argument("there is no such order");
    }
    // A reset adds its first state to the history, then one for each no-op.
    if (order.what >= 0 && (order.value < 0 || (buffers_.history &&
                                                order.value >= buffers_.history_rows))) {
      throw std::invalid_argument("there is no room for that many no-ops");
    }
  }
  if (buffers_.history && plan_.spec.frame_skip > buffers_.history_rows) {
    throw std::invalid_argument("there is no room for the frames of a step");
  }
}

void EnvPool::start(std::uint8_t* observations) {
  check_orders();
  observations_ = observations;
  troubled_ = 0;
  workers_.start(num_envs_, [this](int env, int worker) { work(env, worker); });
}

int EnvPool::wait() {
  workers_.wait();
  return troubled_;
}

int EnvPool::run(std::uint8_t* observations) {
  check_orders();
  observations_ = observations;
  troubled_ = 0;
  workers_.run(num_envs_, [this](int env, int worker) { work(env, worker); });
  return troubled_;
}

History EnvPool::history_of(int env) {
  if (!buffers_.history) return {};
  return {buffers_.history + static_cast<std::ptrdiff_t>(env) * buffers_.history_rows, 0};
}

void EnvPool::write_outcome(int env, const Outcome& outcome, const std::vector<double>& parts) {
  std::int64_t* ints = buffers_.ints + env;
  const auto set = [&](IntRow row, std::int64_t value) { ints[row * num_envs_] = value; };
  const GameState& state = outcome.state;
  set(kCoinsRow, state.coins);
  set(kLifeRow, state.life);
  set(kScoreRow, state.score);
  set(kStageRow, state.stage);
  set(kTimeRow, state.time);
  set(kWorldRow, state.world);
  set(kXRow, state.x_pos);
  set(kYRow, state.y_pos);
  set(kAreaRow, state.area);
  set(kFrameRow, outcome.frame);
  set(kStagesClearedRow, outcome.stages_cleared);
  set(kStatusRow, std::min<std::int64_t>(state.powerup, 2));
  set(kCauseRow, static_cast<std::int64_t>(outcome.cause));
  set(kEndingRow, static_cast<std::int64_t>(outcome.ending));

  std::uint8_t* flags = buffers_.flags + env;
  flags[kTerminatedRow * num_envs_] = outcome.terminated;
  flags[kTruncatedRow * num_envs_] = outcome.truncated;
  flags[kFlagGetRow * num_envs_] = outcome.flag_get;
  flags[kDiedRow * num_envs_] = outcome.died;

  double* doubles = buffers_.doubles + env;
  doubles[0] = outcome.reward;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    doubles[(static_cast<std::ptrdiff_t>(i) + 1) * num_envs_] = parts[i];
  }
  if (ranges_.low) ranges_.outside[env] = is_outside(env);
}

bool EnvPool::is_outside(int env) const {
  for (int row = 0; row < kFlagRows; ++row) {
    if (buffers_.flags[row * num_envs_ + env]) return true;
  }
  for (int row = 0; row < kTroubleRow; ++row) {
    const int at = row * num_envs_ + env;
    // What is below its range is, as an unsigned number, far above it.
    const std::uint64_t offset = static_cast<std::uint64_t>(buffers_.ints[at]) -
                                 static_cast<std::uint64_t>(ranges_.low[at]);
    if (offset > ranges_.width[at]) return true;
  }
  return false;
}

}  // namespace mario
