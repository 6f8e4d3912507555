"""Named addresses of Super Mario Bros' work RAM.

Names in comments are those of doppelganger's commented disassembly of the game ("SMBDIS.ASM");
Lost Levels keeps the same layout. All are single bytes unless said otherwise.
"""

from __future__ import annotations

PLAYER_STATE = 0x000E  # GameEngineSubroutine
ENEMY_FLAGS = range(0x000F, 0x0015)  # Enemy_Flag, six slots: 0 is an empty one
ENEMY_TYPES = range(0x0016, 0x001B)  # Enemy_ID, five slots; the sixth follows
FLOAT_STATE = 0x001D  # Player_State: 0 on ground, 1 jumping, 2 falling, 3 climbing (also the pole)
X_PAGE = 0x006D  # Player_PageLoc: 256-pixel pages since the start of the area
X_ON_PAGE = 0x0086  # Player_X_Position
Y_VIEWPORT = 0x00B5  # Player_Y_HighPos: 0 above, 1 on, 2 and more below the screen
AREA_DATA = 0x00E7  # AreaDataLow, AreaDataHigh: where in the ROM the current area is described
LIFT_CONTACTS = range(0x03A2, 0x03A8)  # PlatformCollisionFlag: whether Mario stands on that lift
Y_PIXEL = 0x03B8  # Player_Rel_YPos
LOOP_CORRECT = 0x06D9  # MultiLoopCorrectCntr: right choices in a row of maze pages (world 7)
LOOP_PASSED = 0x06DA  # MultiLoopPassCntr: pages of that row passed, right or wrong
CHANGE_AREA_TIMER = 0x06DE  # ChangeAreaTimer
SWIMMING = 0x0704  # SwimmingFlag: 1 in areas under water
POWERUP = 0x0756  # PlayerStatus: 0 small, 1 tall, 2 fireballs
LIFE = 0x075A  # NumberofLives: 2, 1, 0, then 255 at game over
STAGE = 0x075C  # LevelNumber, from 0
WORLD = 0x075F  # WorldNumber, from 0
AREA = 0x0760  # AreaNumber, from 0: counts cut-scene areas as well
OPERATION_MODE = 0x0770  # OperMode: 0 demo, 1 game, 2 end of world, 3 game over
PRELEVEL_TIMER = 0x07A0  # ScreenTimer
SCORE = range(0x07DE, 0x07E4)  # decimal digits, tens upwards on screen
COINS = range(0x07ED, 0x07EF)  # decimal digits
TIME = range(0x07F8, 0x07FB)  # decimal digits

BUSY_STATES = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x07)
"""Values of PLAYER_STATE in which the joypad does nothing: vines, pipes, walking by itself."""
STATE_DEAD = 0x06
STATE_DYING = 0x0B

STAGE_OVER_ENEMIES = (0x2D, 0x31)
"""Bowser and the flag: with one of them loaded, a climbing Mario is at the end of the stage."""
LARGE_LIFTS = 0x24
"""From here on ENEMY_TYPES are lifts; the contact of large ones is 255 if Mario is not on them."""
SMALL_LIFTS = 0x2B
"""From here on they are small ones; their contact is 0 if he is not."""
BEHIND_LIFTS = 0x2D
FLOAT_STATES_IN_AIR = (1, 2)
FLOAT_STATE_CLIMBING = 3

MODE_END_OF_WORLD = 2
NO_LIVES_LEFT = 0xFF
