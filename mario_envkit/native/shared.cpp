#include "shared.hpp"

#include <algorithm>
#include <stdexcept>

#include "env_saves.hpp"

namespace mario {

std::unique_lock<std::mutex> SharedPool::at_rest() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (started_) pool_->rest();
  return lock;
}

void SharedPool::require_nothing_started() const {
  if (started_) throw std::logic_error("wait() must come before other work is begun");
}

void SharedPool::start(std::uint8_t* observations) {
  const std::lock_guard<std::mutex> lock(mutex_);
  require_nothing_started();
  pool_->start(observations);
  started_ = true;
}

int SharedPool::wait() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!started_) throw std::logic_error("start() must come before wait()");
  started_ = false;
  return pool_->wait();
}

int SharedPool::run(std::uint8_t* observations) {
  const std::lock_guard<std::mutex> lock(mutex_);
  require_nothing_started();
  return pool_->run(observations);
}

int SharedPool::add_start(const Start& start) {
  const auto lock = at_rest();
  return pool_->add_start(start);
}

void SharedPool::set_reward(const RewardSpec& reward) {
  const auto lock = at_rest();
  pool_->set_reward(reward);
}

void SharedPool::watch(const Ranges& ranges) {
  const auto lock = at_rest();
  pool_->watch(ranges);
}

void SharedPool::screen(int env, std::uint8_t* out) {
  const auto lock = at_rest();
  pool_->screen(env, out);
}

void SharedPool::ram(int env, std::uint8_t* out) {
  const auto lock = at_rest();
  std::copy_n(pool_->ram(env), kRamSize, out);
}

void SharedPool::show(int env, const std::uint8_t* stack) {
  const auto lock = at_rest();
  pool_->show(env, stack);
}

std::vector<std::uint8_t> SharedPool::save(int env, std::int64_t* progress, std::int64_t* memory,
                                           std::uint8_t* stack) {
  const auto lock = at_rest();
  pool_->save(env, saved_);
  std::copy(saved_.stack.begin(), saved_.stack.end(), stack);
  write_progress(saved_.progress, progress);
  write_memory(saved_.reward, memory);
  return serialize(saved_.machine);
}

std::string SharedPool::load(int env, const std::uint8_t* machine, std::size_t size,
                             const std::int64_t* progress, const std::int64_t* memory) {
  const auto lock = at_rest();
  std::string problem = deserialize(machine, size, saved_.machine);
  if (!problem.empty()) return problem;
  read_progress(progress, saved_.progress);
  read_memory(memory, pool_->reward_terms(), saved_.reward);
  saved_.stack.clear();
  pool_->load(env, saved_);
  return problem;
}

int SharedExplorer::explore(int from, const std::int32_t* holds, std::size_t count,
                            const Log& log) {
  const std::lock_guard<std::mutex> lock(mutex_);
  holds_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    holds_[i] = {holds[2 * i], holds[2 * i + 1]};
    if (holds_[i].buttons < 0 || holds_[i].buttons > 255 || holds_[i].frames < 1) {
      throw std::invalid_argument("a hold is a joypad byte and one frame or more");
    }
  }
  return explorer_->explore(from, holds_, log);
}

SearchEnd SharedExplorer::ending() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return explorer_->ending();
}

int SharedExplorer::keep(int row) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return explorer_->keep(row);
}

void SharedExplorer::forget(int number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  explorer_->forget(number);
}

}  // namespace mario
