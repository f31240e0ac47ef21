// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {Owned} from "./Owned.sol";

/// @title Vote
/// @notice Weighted yes/no votes of a DAO. Votes on one proposal conflict in its tally. Every function runs in a single frame.
contract Vote is Owned {
    enum Choice {
        None,
        Yes,
        No,
        Abstain
    }

    /// @dev Three slots: yes and no; abstain, closesAt and closed; description.
    struct Proposal {
        uint128 yes;
        uint128 no;
        uint128 abstain;
        uint64 closesAt;
        bool closed;
        bytes32 description;
    }

    uint256 public proposalCount;
    /// @notice Least sum of votes for a proposal to pass.
    uint128 public quorum;
    mapping(address voter => uint128) public weightOf;
    mapping(uint256 id => Proposal) public proposalOf;
    mapping(uint256 id => mapping(address voter => Choice)) public choiceOf;

    event VoterEnrolled(address indexed voter, uint128 weight);
    event Proposed(uint256 indexed id, address indexed proposer, uint64 closesAt, bytes32 description);
    event Voted(uint256 indexed id, address indexed voter, Choice choice, uint128 weight);
    event Closed(uint256 indexed id, bool passed);

    error NotAVoter(address caller);
    error UnknownProposal(uint256 id);
    error VotingClosed(uint256 id);
    error VotingOpen(uint256 id, uint64 closesAt);
    error AlreadyVoted(uint256 id, address voter);
    error EmptyChoice();

    constructor(uint128 quorum_) {
        quorum = quorum_;
    }

    function enrol(address voter, uint128 weight) external onlyOwner {
        weightOf[voter] = weight;
        emit VoterEnrolled(voter, weight);
    }

    function propose(bytes32 description, uint64 duration) external returns (uint256 id) {
        _weight();
        id = ++proposalCount;
        uint64 closesAt = uint64(block.timestamp) + duration;
        Proposal storage proposal = proposalOf[id];
        proposal.closesAt = closesAt;
        proposal.description = description;
        emit Proposed(id, msg.sender, closesAt, description);
    }

    function castVote(uint256 id, Choice choice) external {
        Proposal storage proposal = _proposal(id);
        if (block.timestamp >= proposal.closesAt) revert VotingClosed(id);
        if (choiceOf[id][msg.sender] != Choice.None) revert AlreadyVoted(id, msg.sender);
        uint128 weight = _weight();

        choiceOf[id][msg.sender] = choice;
        if (choice == Choice.Yes) proposal.yes += weight;
        else if (choice == Choice.No) proposal.no += weight;
        else if (choice == Choice.Abstain) proposal.abstain += weight;
        else revert EmptyChoice();
        emit Voted(id, msg.sender, choice, weight);
    }

    /// @notice Records the outcome once the time is over.
    function close(uint256 id) external returns (bool passed) {
        Proposal storage proposal = _proposal(id);
        if (block.timestamp < proposal.closesAt) revert VotingOpen(id, proposal.closesAt);
        if (proposal.closed) revert VotingClosed(id);
        proposal.closed = true;
        passed = isPassing(id);
        emit Closed(id, passed);
    }

    function isPassing(uint256 id) public view returns (bool) {
        Proposal storage proposal = _proposal(id);
        uint256 cast = uint256(proposal.yes) + proposal.no + proposal.abstain;
        return cast >= quorum && proposal.yes > proposal.no;
    }

    function _weight() private view returns (uint128 weight) {
        weight = weightOf[msg.sender];
        if (weight == 0) revert NotAVoter(msg.sender);
    }

    function _proposal(uint256 id) private view returns (Proposal storage proposal) {
        if (id == 0 || id > proposalCount) revert UnknownProposal(id);
        proposal = proposalOf[id];
    }
}
