// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {Owned} from "./Owned.sol";

/// @title SupplyChain
/// @notice Follows items from maker to buyer. Items are independent of each other; the steps of one item form a chain.
/// Every function runs in a single frame.
contract SupplyChain is Owned {
    enum Step {
        Unknown,
        Made,
        Shipped,
        Received,
        Sold
    }

    /// @dev Two slots: holder, step, steps and updatedAt; trail. The trail is the keccak over all steps so far.
    struct Item {
        address holder;
        Step step;
        uint16 steps;
        uint64 updatedAt;
        bytes32 trail;
    }

    mapping(address account => bool) public isMaker;
    mapping(bytes32 serial => Item) public itemOf;
    mapping(bytes32 serial => address) public consigneeOf;

    event MakerSet(address indexed account, bool allowed);
    event Stepped(bytes32 indexed serial, Step indexed step, address indexed holder, bytes32 trail);
    event Noted(bytes32 indexed serial, address indexed author, string text);

    error NotMaker(address caller);
    error NotHolder(bytes32 serial, address caller, address holder);
    error NotConsignee(bytes32 serial, address caller, address consignee);
    error WrongStep(bytes32 serial, Step step, Step needed);

    function setMaker(address account, bool allowed) external onlyOwner {
        isMaker[account] = allowed;
        emit MakerSet(account, allowed);
    }

    function make(bytes32 serial) external {
        _make(serial);
    }

    function makeMany(bytes32[] calldata serials) external {
        for (uint256 i = 0; i < serials.length; ++i) {
            _make(serials[i]);
        }
    }

    /// @notice Hands an item to a carrier on its way to `consignee`.
    function ship(bytes32 serial, address consignee) external {
        Item storage item = _held(serial);
        if (item.step != Step.Made && item.step != Step.Received) revert WrongStep(serial, item.step, Step.Made);
        consigneeOf[serial] = consignee;
        _advance(serial, item, Step.Shipped, msg.sender);
    }

    function accept(bytes32 serial) external {
        Item storage item = itemOf[serial];
        if (item.step != Step.Shipped) revert WrongStep(serial, item.step, Step.Shipped);
        address consignee = consigneeOf[serial];
        if (msg.sender != consignee) revert NotConsignee(serial, msg.sender, consignee);
        delete consigneeOf[serial];
        _advance(serial, item, Step.Received, msg.sender);
    }

    function sell(bytes32 serial, address buyer) external {
        Item storage item = _held(serial);
        if (item.step != Step.Received) revert WrongStep(serial, item.step, Step.Received);
        _advance(serial, item, Step.Sold, buyer);
    }

    /// @notice Logs a text of any length about an item.
    function note(bytes32 serial, string calldata text) external {
        _held(serial);
        emit Noted(serial, msg.sender, text);
    }

    function _make(bytes32 serial) private {
        if (!isMaker[msg.sender]) revert NotMaker(msg.sender);
        Item storage item = itemOf[serial];
        if (item.step != Step.Unknown) revert WrongStep(serial, item.step, Step.Unknown);
        _advance(serial, item, Step.Made, msg.sender);
    }

    function _held(bytes32 serial) private view returns (Item storage item) {
        item = itemOf[serial];
        if (item.holder != msg.sender) revert NotHolder(serial, msg.sender, item.holder);
    }

    function _advance(bytes32 serial, Item storage item, Step step, address holder) private {
        bytes32 trail = keccak256(abi.encode(item.trail, step, holder, block.timestamp));
        item.holder = holder;
        item.step = step;
        item.steps += 1;
        item.updatedAt = uint64(block.timestamp);
        item.trail = trail;
        emit Stepped(serial, step, holder, trail);
    }
}
