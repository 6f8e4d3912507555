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

}  // namespace

struct Workers::Shared {
  std::mutex mutex;
  std::condition_variable called, finished;
  std::uint64_t call = 0;  // counts the calls to work
  int helpers = 0;         // threads asked to help with this call: those below this number
  int busy = 0;            // how many of them are not done yet
  bool over = false;
  std::exception_ptr failure;

  // Written between calls only.
  Job job;
  int count = 0;
  std::atomic<int> next{0};

  std::vector<std::thread> threads;

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
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      called.wait(lock, [&] { return over || (call != seen && worker < helpers); });
      if (over) return;
      seen = call;
      lock.unlock();
      work(worker);
      lock.lock();
      if (--busy == 0) finished.notify_one();
    }
  }

  void end() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      over = true;
    }
    called.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

Workers::Workers(int size)
    : size_(size), process_(current_process()), shared_(std::make_unique<Shared>()) {
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
    shared.helpers = shared.busy = helpers;
    ++shared.call;
  }
  if (helpers) shared.called.notify_all();
}

void Workers::start(int count, Job job) { begin(count, std::move(job), size_); }

void Workers::wait() {
  Shared& shared = *shared_;
  std::unique_lock<std::mutex> lock(shared.mutex);
  shared.finished.wait(lock, [&] { return shared.busy == 0; });
  if (shared.failure) std::rethrow_exception(std::exchange(shared.failure, nullptr));
}

void Workers::run(int count, Job job) {
  begin(count, std::move(job), size_ - 1);
  shared_->work(size_ - 1);
  wait();
}

}  // namespace mario
