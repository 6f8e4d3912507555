#include "workers.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace mario {

namespace {

int current_process() {
#if defined(__unix__) || defined(__APPLE__)
  return static_cast<int>(getpid());
#else
  return 0;  // there is no fork
#endif
}

// How often to look for something that is likely to happen within some ten microseconds, before
// falling asleep: waking up takes as long. Other threads may run in between.
constexpr int kLooks = 200;

template <class Condition>
void look_for(Condition&& condition) {
  for (int i = 0; i < kLooks && !condition(); ++i) std::this_thread::yield();
}

}  // namespace

struct Workers::Shared {
  explicit Shared(int size) : called(static_cast<std::size_t>(size)) {}

  std::mutex mutex;
  std::vector<std::condition_variable> called;  // one for each thread
  std::condition_variable finished;
  std::vector<std::thread> threads;

  // Written with the mutex held; atomic for those who look without it.
  std::atomic<std::uint64_t> call{0};  // counts the calls to work
  std::atomic<int> busy{0};            // threads that have not finished their share of it
  std::atomic<bool> over{false};

  int helpers = 0;  // threads that are to help with this call: those below this number
  std::exception_ptr failure;

  // Written between calls only.
  Job job;
  int count = 0;
  std::atomic<int> next{0};

  void work(int worker) {
    try {
      for (int i = next++; i < count; i = next++) job(i, worker);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }

  void live(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      look_for([&] { return over || call != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex);
        called[static_cast<std::size_t>(worker)].wait(
            lock, [&] { return over || (call != seen && worker < helpers); });
        if (over) return;
        seen = call;
      }
      work(worker);
      const std::lock_guard<std::mutex> lock(mutex);
      if (--busy == 0) finished.notify_one();
    }
  }

  void end() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      over = true;
    }
    for (std::condition_variable& condition : called) condition.notify_one();
    for (std::thread& thread : threads) thread.join();
  }
};

Workers::Workers(int size)
    : size_(size), process_(current_process()), shared_(std::make_unique<Shared>(size)) {
  try {
    for (int i = 0; i < size; ++i) {
      shared_->threads.emplace_back([shared = shared_.get(), i] { shared->live(i); });
    }
  } catch (...) {
    shared_->end();
    throw;
  }
}

Workers::~Workers() { stop(); }

void Workers::stop() {
  if (!shared_) return;
  if (process_ == current_process()) {
    shared_->end();
    shared_.reset();
  } else {
    static_cast<void>(shared_.release());
  }
}

void Workers::begin(int count, Job job, int helpers) {
  Shared& shared = *shared_;
  {
    const std::lock_guard<std::mutex> lock(shared.mutex);
    shared.job = std::move(job);
    shared.count = count;
    shared.next = 0;
    shared.failure = nullptr;
    shared.helpers = helpers;
    shared.busy = helpers;
    ++shared.call;
  }
  for (int i = 0; i < helpers; ++i) shared.called[static_cast<std::size_t>(i)].notify_one();
}

void Workers::start(int count, Job job) { begin(count, std::move(job), size_); }

void Workers::rest() {
  Shared& shared = *shared_;
  look_for([&] { return shared.busy == 0; });
  std::unique_lock<std::mutex> lock(shared.mutex);
  shared.finished.wait(lock, [&] { return shared.busy == 0; });
}

void Workers::wait() {
  rest();
  Shared& shared = *shared_;
  const std::lock_guard<std::mutex> lock(shared.mutex);
  if (shared.failure) std::rethrow_exception(std::exchange(shared.failure, nullptr));
}

void Workers::run(int count, Job job) {
  begin(count, std::move(job), size_ - 1);
  shared_->work(size_ - 1);
  wait();
}

}  // namespace mario
