// The machine whose frames end at vertical blank, as those of the console do.
#include "console_body.hpp"

namespace mario {

template class Console<ConsoleTiming>;

}  // namespace mario
