// A team of threads that works off numbered jobs.
#pragma once

#include <functional>
#include <memory>

namespace mario {

// Used by one thread at a time. The threads live as long as the team.
class Workers {
 public:
  // Does job `index`; `worker` says which thread is at it, from 0 to size() - 1.
  using Job = std::function<void(int index, int worker)>;

  // Throws std::system_error if the system does not give that many threads.
  explicit Workers(int size);
  ~Workers();  // stops it
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int size() const { return size_; }

  // Jobs 0 to count - 1, on all threads; returns at once. wait() must follow.
  void start(int count, Job job);

  // Until all is done; throws what the first failing job threw.
  void wait();

  // Until all is done, and nothing else: wait() must follow all the same.
  void rest();

  // start() and wait() in one, with the calling thread as one of the team.
  void run(int count, Job job);

  // Ends the threads when the work under way is done. Twice is harmless. In a process that was
  // forked off it does nothing: the threads are not there.
  void stop();

 private:
  struct Shared;

  void begin(int count, Job job, int helpers);

  int size_;
  int process_;
  // On the heap: what threads wait on cannot be destroyed in a process that was forked off.
  std::unique_ptr<Shared> shared_;
};

}  // namespace mario
