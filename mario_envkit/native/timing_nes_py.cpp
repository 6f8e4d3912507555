// The machine that does bit for bit what nes-py 8.2 does.
#include "console_body.hpp"

namespace mario {

template class Console<NesPyTiming>;

}  // namespace mario
