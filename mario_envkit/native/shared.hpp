// A machine, a pool, or an explorer that several threads may use: every call has it to itself.
//
// The bindings make these calls without the GIL: who waits for a mutex must not hold it, as the
// thread that has the mutex may want it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "env_pool.hpp"
#include "explorer.hpp"
#include "machine.hpp"
#include "observation.hpp"

namespace mario {

// Takes a mutex, waiting if need be.
struct Waiting {
  std::unique_lock<std::mutex> operator()(std::mutex& mutex) const {
    return std::unique_lock<std::mutex>(mutex);
  }
};

template <class Timing>
class SharedMachine {
 public:
  explicit SharedMachine(std::shared_ptr<const Cartridge> cartridge)
      : machine_(std::move(cartridge)) {}

  void power_on() {
    const Lock lock(mutex_);
    machine_.power_on();
  }

  void step(std::uint8_t buttons, int frames, bool draw) {
    const Lock lock(mutex_);
    machine_.step(buttons, frames, draw);
  }

  void set_second_joypad(std::uint8_t buttons) {
    const Lock lock(mutex_);
    machine_.set_second_joypad(buttons);
  }

  // save() and load() take less time than giving the GIL away: `take`, which gets the mutex and
  // returns a lock that holds it, may keep the GIL where it need not wait. save() writes
  // serialized_size() bytes.
  template <class Take = Waiting>
  void save(std::uint8_t* bytes, Take&& take = Take()) const {
    const auto lock = take(mutex_);
    machine_.save(bytes);
  }

  // Returns an empty string, or what is wrong with the bytes; then nothing has changed.
  template <class Take = Waiting>
  std::string load(const std::uint8_t* bytes, std::size_t size, Take&& take = Take()) {
    Saved saved;
    std::string problem = deserialize(bytes, size, saved);
    if (problem.empty()) {
      const auto lock = take(mutex_);
      machine_.load(saved);
    }
    return problem;
  }

  void observe(const Observer& observer, std::uint8_t* out) {
    const Lock lock(mutex_);
    observer.observe(machine_.picture(), out);
  }

  // A live view, in which bytes change while another thread steps.
  std::uint8_t* ram() { return machine_.ram(); }

 private:
  using Lock = std::lock_guard<std::mutex>;

  mutable std::mutex mutex_;
  Machine<Timing> machine_;
};

// A pool between whose start() and wait() other threads may look: what reads or writes a game waits
// until the games rest.
class SharedPool {
 public:
  explicit SharedPool(std::unique_ptr<EnvPool> pool) : pool_(std::move(pool)) {}

  int num_envs() const { return pool_->num_envs(); }
  std::size_t observation_bytes() const { return pool_->observation_bytes(); }
  std::size_t reward_terms() const { return pool_->reward_terms(); }

  // See EnvPool. start() and run() throw std::logic_error if work was started that nobody has
  // waited for, and wait() if none was.
  void start(std::uint8_t* observations);
  int wait();
  int run(std::uint8_t* observations);

  int add_start(const Start& start);
  void set_reward(const RewardSpec& reward);
  void watch(const Ranges& ranges);
  void screen(int env, std::uint8_t* out);
  void ram(int env, std::uint8_t* out);
  void show(int env, const std::uint8_t* stack);

  // A game as a value, laid out as in env_saves.hpp; returns the machine.
  std::vector<std::uint8_t> save(int env, std::int64_t* progress, std::int64_t* memory,
                                 std::uint8_t* stack);
  // All but the stack; returns an empty string, or what is wrong with the machine's bytes.
  std::string load(int env, const std::uint8_t* machine, std::size_t size,
                   const std::int64_t* progress, const std::int64_t* memory);

 private:
  // Holds the mutex, and waits for work that was started.
  std::unique_lock<std::mutex> at_rest();
  void require_nothing_started() const;

  std::mutex mutex_;
  bool started_ = false;
  std::unique_ptr<EnvPool> pool_;
  SavedEnv saved_;  // kept so that saving allocates little
};

class SharedExplorer {
 public:
  explicit SharedExplorer(std::unique_ptr<Explorer> explorer) : explorer_(std::move(explorer)) {}

  // See Explorer; `holds` are `count` pairs of a joypad byte and frames.
  int explore(int from, const std::int32_t* holds, std::size_t count, const Log& log);
  SearchEnd ending();
  int keep(int row);
  void forget(int number);

 private:
  std::mutex mutex_;
  std::vector<Hold> holds_;
  std::unique_ptr<Explorer> explorer_;
};

}  // namespace mario
